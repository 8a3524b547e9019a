// SPDX-License-Identifier: Apache-2.0
#include "connect_limit.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace tide::nats {
namespace {

// cnats may go on with the next server.
constexpr std::chrono::milliseconds repeat{50};

// Sockets of connections that were made, and what they are.
struct Claimed {
  std::mutex mutex;
  std::map<int, ino_t> sockets;
};
Claimed& claimed() {
  static auto* const claimed =
      new Claimed;  // never destroyed: a relay may end while its threads still close connections
  return *claimed;
}

ino_t inode_of(int socket) {
  struct stat info {};
  return ::fstat(socket, &info) == 0 ? info.st_ino : 0;
}

struct Socket {
  int fd;  // may be another's by now
  ino_t inode;
};
std::vector<Socket> open_sockets() {
  std::vector<Socket> sockets;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", none)) {
    const std::string name = entry.path().filename().string();
    const std::string what = std::filesystem::read_symlink(entry.path(), none).string();
    constexpr std::string_view socket = "socket:[";
    if (!what.starts_with(socket)) continue;
    Socket found{-1, 0};
    std::from_chars(name.data(), name.data() + name.size(), found.fd);
    std::from_chars(what.data() + socket.size(), what.data() + what.size(), found.inode);
    sockets.push_back(found);
  }
  return sockets;
}

// A number of a socket of our own, so that what is looked at and what is ended are one, whoever closes the other.
class Duplicate {
 public:
  explicit Duplicate(const Socket& socket) : fd_(::fcntl(socket.fd, F_DUPFD_CLOEXEC, 0)) {
    if (fd_ >= 0 && inode_of(fd_) != socket.inode) close();
  }
  ~Duplicate() { close(); }
  Duplicate(const Duplicate&) = delete;
  Duplicate& operator=(const Duplicate&) = delete;

  int fd() const { return fd_; }  // -1: that socket is gone

 private:
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  int fd_;
};

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
  claimed().sockets[socket] = inode_of(socket);
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
    const bool made = std::any_of(claimed().sockets.begin(), claimed().sockets.end(),
                                  [&](const auto& claim) { return claim.second == socket.inode; });
    if (made || before_.contains(socket.inode)) continue;
    const Duplicate attempt(socket);
    const auto port = peer_port(attempt.fd());
    if (port && std::find(ports_.begin(), ports_.end(), *port) != ports_.end()) ::shutdown(attempt.fd(), SHUT_RDWR);
  }
}

}  // namespace tide::nats
