#include "base/service.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace tide {

Service::Service() : watched_(std::getenv("WATCHDOG_USEC") != nullptr) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
  address_ = path;
  if (address_[0] == '@') address_[0] = '\0';  // a name that is no file
  if (address_.size() >= sizeof(sockaddr_un::sun_path)) address_.clear();
}

void Service::ready() const {
  send("READY=1");
}

void Service::reloading() const {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now.tv_sec * 1'000'000 + now.tv_nsec / 1000));
}

void Service::stopping() const {
  send("STOPPING=1");
}

void Service::alive() const {
  if (watched_) send("WATCHDOG=1");
}

void Service::status(const std::string& text) const {
  send("STATUS=" + text.substr(0, text.find('\n')));
}

// What can't be told is not worth an error: the service manager notices by itself.
void Service::send(const std::string& message) const {
  if (address_.empty()) return;
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, address_.data(), address_.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  static_cast<void>(
      ::sendto(fd, message.data(), message.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&to), size));
  ::close(fd);
}

}  // namespace tide
