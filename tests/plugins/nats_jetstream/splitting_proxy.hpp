// Forwards one TCP connection to a local port, and can hold back the second half of what the server sends next.
// Threads: each object belongs to one thread; the forwarding runs in one of its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

namespace tide::test {

class SplittingProxy {
 public:
  explicit SplittingProxy(std::uint16_t server_port);
  ~SplittingProxy();

  std::uint16_t port() const { return port_; }

  // From the server's next bytes on, only their first half gets through, until release.
  void hold_half() { holding_ = true; }
  void release() { holding_ = false; }

 private:
  void forward(const std::stop_token& stop) const;

  int listener_ = -1;
  std::uint16_t port_;
  std::uint16_t server_port_;
  std::atomic<bool> holding_ = false;
  std::jthread forwarder_;
};

}  // namespace tide::test
