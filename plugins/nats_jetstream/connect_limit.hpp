// SPDX-License-Identifier: Apache-2.0
//
// Ends a connection attempt of cnats's at its deadline. While it greets a server, cnats 3.4 waits without end: its TLS
// handshake blocks on the socket, and where a server hangs before its PONG it even spins, and takes more and more
// memory. Only the end of the connection gets it out, and it does not tell the socket. So a thread looks for it:
// whatever this process has opened to one of the servers' ports since the attempt began, and nobody has claimed. That
// may be the socket of another attempt that runs at the same time, which is then made again.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <set>
#include <stop_token>
#include <thread>
#include <vector>

namespace tide::nats {

class ConnectLimit {
 public:
  ConnectLimit(std::chrono::steady_clock::time_point deadline, std::vector<std::uint16_t> ports);

  // The socket belongs to a connection that was made, until it is released. Any thread.
  static void claim(int socket);
  static void release(int socket);

 private:
  void wait(const std::stop_token& stop, std::chrono::steady_clock::time_point deadline) const;
  void end_attempts() const;

  std::vector<std::uint16_t> ports_;
  std::set<ino_t> before_;  // sockets that were there already
  std::jthread watch_;      // last: it uses the others
};

}  // namespace tide::nats
