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

// A pointer to the info is one to the entry: what librdkafka gets, and gives back.
struct Entry {
  addrinfo info;
  net::Address address;
};

// Of the asked family only. Null where there is none.
addrinfo* as_list(std::vector<net::Address> addresses, int family) {
  if (family != AF_UNSPEC)
    std::erase_if(addresses, [&](const auto& address) { return address.storage.ss_family != family; });
  if (addresses.empty()) return nullptr;
  auto entries = std::make_unique<Entry[]>(addresses.size());
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    auto& [info, address] = entries[i];
    address = addresses[i];
    info.ai_family = address.storage.ss_family;
    info.ai_socktype = SOCK_STREAM;
    info.ai_addrlen = address.size;
    info.ai_addr = reinterpret_cast<sockaddr*>(&address.storage);
    if (i > 0) entries[i - 1].info.ai_next = &info;
  }
  return &entries.release()->info;
}

}  // namespace

int look_up(const char* node, const char* service, const addrinfo* hints, addrinfo** result, void*) noexcept {
  if (node == nullptr && service == nullptr) {
    delete[] reinterpret_cast<Entry*>(*result);
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
