// Ends a blocking read on a socket when its time is up: libpqxx has no deadline for a statement, and a stopped server
// would hold the caller for ever. One thread in the process watches all of them. Any thread.
#pragma once

#include <atomic>
#include <chrono>

namespace tide {

class DeadlineGuard {
 public:
  // After `limit` the socket is shut down for both directions, so that the blocked call fails. fd stays open and the
  // same until the guard is gone.
  DeadlineGuard(int fd, std::chrono::milliseconds limit);
  ~DeadlineGuard();
  DeadlineGuard(const DeadlineGuard&) = delete;
  DeadlineGuard& operator=(const DeadlineGuard&) = delete;

  [[nodiscard]] bool expired() const { return expired_; }

 private:
  friend class Watchdog;
  const int fd_;
  const std::chrono::steady_clock::time_point end_;
  std::atomic<bool> expired_ = false;
};

}  // namespace tide
