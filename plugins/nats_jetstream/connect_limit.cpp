// SPDX-License-Identifier: Apache-2.0
#include "connect_limit.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <optional>
#include <system_error>
#include <utility>

namespace tide::nats {
namespace {

// cnats may go on with the next server.
constexpr std::chrono::milliseconds repeat{50};

// Of connections that were made.
struct Claimed {
  std::mutex mutex;
  std::set<int> sockets;
};
Claimed& claimed() {
  static auto* const claimed =
      new Claimed;  // never destroyed: a relay may end while its threads still close connections
  return *claimed;
}

struct Socket {
  int fd;
  ino_t inode;
};
std::vector<Socket> open_sockets() {
  std::vector<Socket> sockets;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", none)) {
    const std::string name = entry.path().filename().string();
    int fd = -1;
    std::from_chars(name.data(), name.data() + name.size(), fd);
    struct stat info {};
    if (fd >= 0 && ::fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode)) sockets.push_back({fd, info.st_ino});
  }
  return sockets;
}

std::optional<std::uint16_t> peer_port(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return std::nullopt;
  if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  return std::nullopt;
}

}  // namespace

ConnectLimit::ConnectLimit(std::chrono::steady_clock::time_point deadline, std::vector<std::uint16_t> ports)
    : ports_(std::move(ports)) {
  for (const Socket& socket : open_sockets()) before_.insert(socket.inode);
  watch_ = std::jthread([this, deadline](const std::stop_token& stop) { wait(stop, deadline); });
}

void ConnectLimit::claim(int socket) {
  const std::lock_guard lock(claimed().mutex);
  claimed().sockets.insert(socket);
}

void ConnectLimit::release(int socket) {
  const std::lock_guard lock(claimed().mutex);
  claimed().sockets.erase(socket);
}

void ConnectLimit::wait(const std::stop_token& stop, std::chrono::steady_clock::time_point deadline) const {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_until(lock, stop, deadline, [] { return false; });
  while (!stop.stop_requested()) {
    end_attempts();
    never.wait_for(lock, stop, repeat, [] { return false; });
  }
}

void ConnectLimit::end_attempts() const {
  const std::lock_guard lock(claimed().mutex);
  for (const Socket& socket : open_sockets()) {
    if (before_.contains(socket.inode) || claimed().sockets.contains(socket.fd)) continue;
    const auto port = peer_port(socket.fd);
    if (port && std::find(ports_.begin(), ports_.end(), *port) != ports_.end()) ::shutdown(socket.fd, SHUT_RDWR);
  }
}

}  // namespace tide::nats
