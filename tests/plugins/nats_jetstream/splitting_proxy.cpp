#include "splitting_proxy.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

#include "support/process.hpp"

namespace tide::test {
namespace {

constexpr int poll_ms = 10;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

bool readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return ::poll(&entry, 1, poll_ms) > 0;
}

std::string read_some(int fd) {
  std::string bytes(64 * 1024, '\0');
  const auto size = ::recv(fd, bytes.data(), bytes.size(), 0);
  bytes.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return bytes;
}

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto size = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
}

}  // namespace

SplittingProxy::SplittingProxy(std::uint16_t server_port) : port_(free_port()), server_port_(server_port) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port_);
  if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_, 1) != 0)
    throw std::runtime_error("the proxy cannot listen");
  forwarder_ = std::jthread([this](const std::stop_token& stop) { forward(stop); });
}

SplittingProxy::~SplittingProxy() {
  forwarder_ = {};
  ::close(listener_);
}

void SplittingProxy::forward(const std::stop_token& stop) const {
  while (!readable(listener_))
    if (stop.stop_requested()) return;
  const int client = ::accept(listener_, nullptr, nullptr);
  const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(server_port_);
  ::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  std::string held;
  for (bool open = true; open && !stop.stop_requested();) {
    if (readable(client)) {
      const auto bytes = read_some(client);
      open = !bytes.empty();
      write_all(server, bytes);
    }
    if (!holding_) {
      write_all(client, held);
      held.clear();
    }
    if (held.empty() && readable(server)) {
      const auto bytes = read_some(server);
      open = open && !bytes.empty();
      const auto now = holding_ ? bytes.size() / 2 : bytes.size();
      write_all(client, std::string_view(bytes).substr(0, now));
      held = bytes.substr(now);
    }
  }
  ::close(client);
  ::close(server);
}

}  // namespace tide::test
