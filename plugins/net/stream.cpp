// SPDX-License-Identifier: Apache-2.0
#include "stream.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace tide::net {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kAdvice = ". Check url, and that the server runs and can be reached from here";

constexpr std::size_t kWorthSending = 65536;
constexpr std::size_t kMostAtOnce = 1 << 20;  // then whoever asked has its turn

int left_ms(Clock::time_point until) {
  const auto left = std::chrono::ceil<milliseconds>(until - Clock::now()).count();
  return static_cast<int>(std::clamp<milliseconds::rep>(left, 0, 3'600'000));
}

// errno's value where it could not be made; 0 when it was.
int make_connection(int fd, const sockaddr* address, socklen_t size, Clock::time_point until) {
  if (::connect(fd, address, size) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  pollfd waiting{fd, POLLOUT, 0};
  int ready = 0;
  do {
    ready = ::poll(&waiting, 1, left_ms(until));
  } while (ready < 0 && errno == EINTR);
  if (ready <= 0) return ETIMEDOUT;
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  return error;
}

Error with(const Error& error, const std::string& before) {
  const auto text = before + error.what();
  return error.status() == TIDE_FATAL ? Error::fatal(text, error.native_code())
                                      : Error::retry(text, error.native_code());
}

void turn_on(int fd, int level, int option) {
  const int on = 1;
  ::setsockopt(fd, level, option, &on, sizeof on);
}

}  // namespace

Stream::Stream(const ServerUrl& server, const TlsSettings& tls, Clock::time_point until) : shown_(server.shown) {
  try {
    if (server.local)
      connect_local(server);
    else
      connect_tcp(server, until);
    if (!server.tls) return;
    tls_ = std::make_unique<Tls>(tls, server.host);
    shake_hands(until);
  } catch (const Error& error) {
    close();
    throw with(error, "cannot connect to " + shown_ + ": ");
  } catch (...) {
    close();
    throw;
  }
}

Stream::~Stream() {
  close();
}

void Stream::close() const {
  if (fd_ >= 0) ::close(fd_);
}

void Stream::connect_tcp(const ServerUrl& server, Clock::time_point until) {
  const auto addresses = resolve(server.host, server.port, until);
  int error = ETIMEDOUT;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const auto& address = addresses[i];
    const int fd = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
      error = errno;
      continue;
    }
    const auto now = Clock::now();
    const auto share = (until - now) / static_cast<int>(addresses.size() - i);
    const auto* const where = reinterpret_cast<const sockaddr*>(&address.storage);
    error = make_connection(fd, where, address.size, now + share);
    if (error == 0) {
      turn_on(fd, IPPROTO_TCP, TCP_NODELAY);
      turn_on(fd, SOL_SOCKET, SO_KEEPALIVE);
      fd_ = fd;
      return;
    }
    ::close(fd);
  }
  throw Error::retry(std::strerror(error) + std::string(kAdvice), error);
}

void Stream::connect_local(const ServerUrl& server) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (server.path.size() >= sizeof address.sun_path) throw Error::fatal("the path of the Unix socket is too long");
  std::memcpy(address.sun_path, server.path.data(), server.path.size());
  fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0 || ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw Error::retry(std::strerror(errno) + std::string(kAdvice), errno);
}

void Stream::shake_hands(Clock::time_point until) {
  std::array<char, 16384> buffer;
  while (!tls_->shake_hands(to_send_)) {
    flush();
    if (!wait(until) || Clock::now() >= until)
      throw Error::retry("the server did not answer the TLS handshake in time", ETIMEDOUT);
    const auto size = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (size == 0) throw Error::retry("the server closed the connection while TLS began");
    if (size > 0)
      tls_->arrived({buffer.data(), static_cast<std::size_t>(size)});
    else if (errno != EAGAIN && errno != EINTR)
      throw Error::retry(std::strerror(errno), errno);
  }
  flush();
}

template <class Call>
void Stream::named(Call call) const {
  try {
    call();
  } catch (const Error& error) {
    throw with(error, shown_ + ": ");
  }
}

void Stream::send(std::string_view data) {
  if (tls_)
    named([&] { tls_->encrypt(data, to_send_); });
  else
    to_send_ += data;
  if (unsent() >= kWorthSending) flush();
}

void Stream::flush() {
  while (unsent() > 0) {
    const auto size = ::send(fd_, to_send_.data() + sent_, unsent(), MSG_NOSIGNAL);
    if (size < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) break;
      if (errno == EPIPE || errno == ECONNRESET) return;  // receive() has the server's last words first
      lost(std::strerror(errno));
    }
    sent_ += static_cast<std::size_t>(size);
  }
  if (unsent() == 0) {
    to_send_.clear();
    sent_ = 0;
  } else if (sent_ > to_send_.size() / 2) {
    to_send_.erase(0, std::exchange(sent_, 0));
  }
}

void Stream::receive(std::string& data) {
  const auto before = data.size();
  std::array<char, 65536> buffer;
  for (;;) {
    const auto size = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (size < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) break;
    }
    if (size <= 0) {
      if (data.size() > before) break;  // the last words first; the next call finds it closed
      lost(size == 0 ? "the server closed it" : std::strerror(errno));
    }
    const std::string_view came(buffer.data(), static_cast<std::size_t>(size));
    bool open = true;
    if (tls_)
      named([&] { open = tls_->decrypt(came, data, to_send_); });
    else
      data += came;
    if (!open && data.size() == before) lost("the server closed it");
    if (!open || came.size() < buffer.size() || data.size() - before >= kMostAtOnce) break;
  }
  flush();
}

bool Stream::wait(Clock::time_point until) const {
  pollfd waiting{fd_, static_cast<short>(unsent() > 0 ? POLLIN | POLLOUT : POLLIN), 0};
  return ::poll(&waiting, 1, left_ms(until)) > 0;
}

void Stream::lost(const std::string& why) const {
  throw Error::retry("the connection to " + shown_ + " was lost: " + why);
}

}  // namespace tide::net
