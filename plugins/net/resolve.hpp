// SPDX-License-Identifier: Apache-2.0
//
// Looks up a host's addresses within a time, however long the resolver would take. Any thread.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace tide::net {

using Clock = std::chrono::steady_clock;

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

// At least one, in the order to try. Throws a retry Error.
std::vector<Address> resolve(const std::string& host, std::uint16_t port, Clock::time_point until);

}  // namespace tide::net
