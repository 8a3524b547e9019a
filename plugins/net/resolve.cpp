// SPDX-License-Identifier: Apache-2.0
#include "resolve.hpp"

#include <netdb.h>

#include <algorithm>
#include <cstring>
#include <list>
#include <memory>
#include <mutex>

#include "tide/sink.hpp"

namespace tide::net {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

addrinfo hints_for(int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | flags;
  return hints;
}

std::vector<Address> taken(addrinfo* first) {
  std::vector<Address> addresses;
  for (const auto* at = first; at != nullptr; at = at->ai_next) {
    auto& address = addresses.emplace_back();
    address.size = std::min<socklen_t>(at->ai_addrlen, sizeof address.storage);
    std::memcpy(&address.storage, at->ai_addr, address.size);
  }
  ::freeaddrinfo(first);
  return addresses;
}

// What the C library looks up by a thread of its own. It must stay where it is until that has ended.
struct Lookup {
  std::string host;
  std::string port;
  addrinfo hints = hints_for(AI_ADDRCONFIG);
  gaicb request{};
};

// Lookups that took too long, and can't be called off: each is freed once it has ended.
class Overdue {
 public:
  void add(std::unique_ptr<Lookup> lookup) {
    const std::lock_guard lock(mutex_);
    lookups_.push_back(std::move(lookup));
  }
  void sweep() {
    const std::lock_guard lock(mutex_);
    lookups_.remove_if([](const auto& lookup) {
      if (::gai_error(&lookup->request) == EAI_INPROGRESS) return false;
      if (lookup->request.ar_result != nullptr) ::freeaddrinfo(lookup->request.ar_result);
      return true;
    });
  }

 private:
  std::mutex mutex_;
  std::list<std::unique_ptr<Lookup>> lookups_;
};
Overdue& overdue() {
  static auto* const overdue = new Overdue;  // never destroyed: a lookup may outlive main()
  return *overdue;
}

[[noreturn]] void unknown(const std::string& host, const std::string& why) {
  throw Error::retry("the name " + host + " does not resolve: " + why + ". Check url, and the resolver of this host");
}

}  // namespace

std::vector<Address> resolve(const std::string& host, std::uint16_t port, Clock::time_point until) {
  overdue().sweep();
  const auto service = std::to_string(port);
  const auto numeric = hints_for(AI_NUMERICHOST);
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), service.c_str(), &numeric, &found) == 0) return taken(found);

  auto lookup = std::make_unique<Lookup>();
  lookup->host = host;
  lookup->port = service;
  lookup->request.ar_name = lookup->host.c_str();
  lookup->request.ar_service = lookup->port.c_str();
  lookup->request.ar_request = &lookup->hints;
  gaicb* requests[] = {&lookup->request};
  if (const int error = ::getaddrinfo_a(GAI_NOWAIT, requests, 1, nullptr); error != 0)
    unknown(host, ::gai_strerror(error));
  int state = EAI_INPROGRESS;
  while ((state = ::gai_error(&lookup->request)) == EAI_INPROGRESS && Clock::now() < until) {
    const auto left = std::max(nanoseconds(until - Clock::now()), nanoseconds(0));
    const auto whole = std::chrono::floor<seconds>(left);
    const timespec timeout{whole.count(), (left - whole).count()};
    ::gai_suspend(requests, 1, &timeout);
  }
  if (state == EAI_INPROGRESS) {
    if (::gai_cancel(&lookup->request) == EAI_NOTCANCELED) overdue().add(std::move(lookup));
    unknown(host, "the resolver did not answer in time");
  }
  if (state != 0) unknown(host, ::gai_strerror(state));
  return taken(lookup->request.ar_result);
}

}  // namespace tide::net
