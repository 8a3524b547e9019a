#include "tcp_proxy.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "process.hpp"

namespace tide::test {
namespace {

constexpr std::size_t kBuffer = 256 * 1024;  // what one direction of a connection holds at most

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

const sockaddr* generic(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

void prepare(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::fcntl(fd, F_SETFL, O_NONBLOCK);
}

bool would_block() {
  return errno == EAGAIN || errno == EINTR;
}

}  // namespace

TcpProxy::TcpProxy(std::uint16_t target) : target_(target), port_(free_port()) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int on = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const auto address = loopback(port_);
  if (::bind(listener_, generic(address), sizeof address) != 0 || ::listen(listener_, 64) != 0) {
    throw std::runtime_error("the proxy can't listen on port " + std::to_string(port_));
  }
  thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
}

TcpProxy::~TcpProxy() {
  thread_.request_stop();
  thread_.join();
  cut();
  ::close(listener_);
}

void TcpProxy::stall(bool to_server, bool to_client) {
  const std::lock_guard lock(mutex_);
  stall_to_server_ = to_server;
  stall_to_client_ = to_client;
}

void TcpProxy::delay(std::chrono::milliseconds time) {
  const std::lock_guard lock(mutex_);
  delay_ = time;
}

void TcpProxy::hold_half() {
  const std::lock_guard lock(mutex_);
  hold_half_ = true;
}

void TcpProxy::cut() {
  const std::lock_guard lock(mutex_);
  cut_all();
}

void TcpProxy::cut_after(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  bytes_to_cut_ = bytes;
}

void TcpProxy::heal() {
  const std::lock_guard lock(mutex_);
  stall_to_server_ = stall_to_client_ = false;
  hold_half_ = false;
  delay_ = {};
  for (auto& link : links_)
    for (auto& chunk : link.to_client.chunks) chunk.due = std::min(chunk.due, Clock::now());
}

std::size_t TcpProxy::cuts() const {
  const std::lock_guard lock(mutex_);
  return cuts_;
}

void TcpProxy::serve(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::vector<pollfd> fds{{listener_, POLLIN, 0}};
    {
      const std::lock_guard lock(mutex_);
      for (const auto& link : links_) {
        for (const auto* way : {&link.to_server, &link.to_client}) {
          const bool stalled = way == &link.to_server ? stall_to_server_ : stall_to_client_;
          if (!stalled && !way->ended && way->size < kBuffer) fds.push_back({way->from, POLLIN, 0});
        }
      }
    }
    ::poll(fds.data(), fds.size(), 2);  // short: chunks fall due, and a test may change its mind
    const std::lock_guard lock(mutex_);
    if ((fds[0].revents & POLLIN) != 0) accept_one();
    for (auto it = links_.begin(); it != links_.end();) {
      const auto link = it++;
      const auto cuts = cuts_;
      const bool goes_on = move(*link, link->to_server, stall_to_server_) && cuts == cuts_ &&
                           move(*link, link->to_client, stall_to_client_);
      if (cuts != cuts_) break;  // all are gone
      if (goes_on) continue;
      close_link(*link);
      links_.erase(link);
    }
  }
}

void TcpProxy::accept_one() {
  const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (client < 0) return;
  const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto address = loopback(target_);
  if (::connect(server, generic(address), sizeof address) != 0) {
    ::close(client);
    ::close(server);
    return;
  }
  prepare(client);
  prepare(server);
  links_.push_back({{client, server, false, {}, 0}, {server, client, false, {}, 0}});
}

bool TcpProxy::move(Link& link, Direction& way, bool stalled) {
  if (stalled) return true;
  std::array<char, 65536> buffer;
  if (!way.ended && way.size < kBuffer) {
    const auto got = ::read(way.from, buffer.data(), buffer.size());
    if (got > 0) {
      const std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
      const bool half = hold_half_ && &way == &link.to_client;
      const auto now = half ? bytes.size() / 2 : bytes.size();
      if (now > 0) way.chunks.push_back({Clock::now() + delay_, std::string(bytes.substr(0, now))});
      if (half) way.chunks.push_back({Clock::time_point::max(), std::string(bytes.substr(now))});
      way.size += bytes.size();
    } else if (got == 0 || !would_block()) {
      way.ended = true;
    }
  }
  while (!way.chunks.empty() && way.chunks.front().due <= Clock::now()) {
    auto& bytes = way.chunks.front().bytes;
    const bool cut_comes = bytes_to_cut_ > 0 && &way == &link.to_server;
    const auto size = cut_comes ? std::min(bytes.size(), bytes_to_cut_) : bytes.size();
    const auto sent = ::send(way.to, bytes.data(), size, MSG_NOSIGNAL);
    if (sent < 0) return would_block();
    way.size -= static_cast<std::size_t>(sent);
    bytes.erase(0, static_cast<std::size_t>(sent));
    if (cut_comes && (bytes_to_cut_ -= static_cast<std::size_t>(sent)) == 0) {
      cut_all();
      return true;
    }
    if (!bytes.empty()) return true;
    way.chunks.pop_front();
  }
  return !way.ended || !way.chunks.empty();
}

void TcpProxy::close_link(const Link& link) {
  ::close(link.to_server.from);
  ::close(link.to_server.to);
}

// The client sees a reset. The server gets all that went on to it, then the end.
void TcpProxy::cut_all() {
  for (const auto& link : links_) {
    const linger reset{1, 0};
    ::setsockopt(link.to_server.from, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close_link(link);
    ++cuts_;
  }
  links_.clear();
}

}  // namespace tide::test
