// SPDX-License-Identifier: Apache-2.0
#include "lookup.hpp"

#include <charconv>
#include <exception>
#include <memory>
#include <string_view>
#include <vector>

#include "../net/resolve.hpp"
#include "tide/sink.hpp"

namespace tide::kafka {
namespace {

constexpr std::chrono::seconds kLongest{2};

// The first of its entries is what librdkafka gets, and gives back.
struct Found {
  std::vector<net::Address> addresses;
  std::vector<addrinfo> entries;
};

// Of the asked family only. Null where there is none.
addrinfo* as_list(std::vector<net::Address> addresses, int family) {
  auto found = std::make_unique<Found>();
  found->addresses = std::move(addresses);
  for (auto& address : found->addresses) {
    if (family != AF_UNSPEC && family != address.storage.ss_family) continue;
    auto& entry = found->entries.emplace_back();
    entry.ai_family = address.storage.ss_family;
    entry.ai_socktype = SOCK_STREAM;
    entry.ai_addrlen = address.size;
    entry.ai_addr = reinterpret_cast<sockaddr*>(&address.storage);
  }
  if (found->entries.empty()) return nullptr;
  for (std::size_t i = 0; i + 1 < found->entries.size(); ++i) found->entries[i].ai_next = &found->entries[i + 1];
  auto* const first = found->entries.data();
  first->ai_canonname = reinterpret_cast<char*>(found.release());
  return first;
}

}  // namespace

int look_up(const char* node, const char* service, const addrinfo* hints, addrinfo** result, void*) noexcept {
  if (node == nullptr && service == nullptr) {
    delete reinterpret_cast<Found*>((*result)->ai_canonname);
    return 0;
  }
  try {
    const std::string_view number = service == nullptr ? "" : service;
    std::uint16_t port = 0;
    std::from_chars(number.data(), number.data() + number.size(), port);
    *result = as_list(net::resolve(node, port, net::Clock::now() + kLongest), hints->ai_family);
    return *result == nullptr ? EAI_NONAME : 0;
  } catch (const Error&) {
    return EAI_AGAIN;  // librdkafka says so, with the name
  } catch (const std::exception&) {
    return EAI_MEMORY;
  }
}

}  // namespace tide::kafka
