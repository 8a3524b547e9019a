// A network that fails: forwards TCP connections to a port of this machine, and stalls, delays or cuts them on demand.
// Any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <mutex>
#include <string>
#include <thread>

namespace tide::test {

class TcpProxy {
 public:
  explicit TcpProxy(std::uint16_t target);  // a port of 127.0.0.1
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }

  // Nothing moves in a stalled direction, and nobody is told; new connections are accepted and stall, too.
  void stall(bool to_server, bool to_client);
  void delay(std::chrono::milliseconds time);               // of every byte, each way
  void hold_half();                                         // of what the server sends next, and all that follows
  void cut();                                               // every connection that is open, with what is under way
  void cut_after(std::size_t bytes);                        // the same, once so many more bytes went to the server
  void heal();                                              // no stall, no delay and nothing held from now on
  void lead_to(std::uint16_t target) { target_ = target; }  // new connections; open ones stay where they are

  [[nodiscard]] std::size_t cuts() const;  // connections that were cut

 private:
  using Clock = std::chrono::steady_clock;

  struct Chunk {
    Clock::time_point due;
    std::string bytes;
  };
  struct Direction {
    int from = -1;
    int to = -1;
    bool ended = false;  // nothing more comes
    std::deque<Chunk> chunks;
    std::size_t size = 0;
  };
  struct Link {
    Direction to_server;
    Direction to_client;
  };

  void serve(const std::stop_token& stop);
  void accept_one();
  bool move(Link& link, Direction& way, bool stalled);  // false: the connection is over
  static void close_link(const Link& link);
  void cut_all();

  std::atomic<std::uint16_t> target_;
  std::uint16_t port_ = 0;
  int listener_ = -1;

  mutable std::mutex mutex_;
  bool stall_to_server_ = false;
  bool stall_to_client_ = false;
  bool hold_half_ = false;
  std::chrono::milliseconds delay_{0};
  std::size_t bytes_to_cut_ = 0;  // 0: no cut is planned
  std::size_t cuts_ = 0;
  std::list<Link> links_;

  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace tide::test
