// SPDX-License-Identifier: Apache-2.0
//
// The `url` option: one or more NATS server URLs, separated by commas. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tide::nats {

struct ServerUrl {
  std::string address;   // "nats://host:port": safe to show, there is no user info in it
  bool tls = false;      // the scheme was tls://
  std::string username;  // percent-decoded; a lone user is a token, as NATS has it
  std::string password;
};

// Throws a fatal Error for what is no URL. It never shows user info.
std::vector<ServerUrl> parse_server_urls(std::string_view list);

}  // namespace tide::nats
