#include "base/deadline_guard.hpp"

#include <sys/socket.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_set>

namespace tide {

class Watchdog {
 public:
  static Watchdog& instance() {
    static Watchdog watchdog;
    return watchdog;
  }

  void add(DeadlineGuard* guard) {
    const std::lock_guard lock(mutex_);
    guards_.insert(guard);
    if (asleep_) some_.notify_one();
  }

  void remove(DeadlineGuard* guard) {
    const std::lock_guard lock(mutex_);
    guards_.erase(guard);
  }

 private:
  Watchdog() : thread_([this](const std::stop_token& stop) { watch(stop); }) {}

  void watch(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      asleep_ = true;
      some_.wait(lock, stop, [this] { return !guards_.empty(); });
      asleep_ = false;
      // Looking ten times a second costs less than to be woken by each statement, and needs no ordering by time.
      some_.wait_for(lock, stop, std::chrono::milliseconds(100), [] { return false; });
      const auto now = std::chrono::steady_clock::now();
      for (auto* guard : guards_) {
        if (now < guard->end_ || guard->expired_) continue;
        guard->expired_ = true;
        ::shutdown(guard->fd_, SHUT_RDWR);
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable_any some_;
  std::unordered_set<DeadlineGuard*> guards_;
  bool asleep_ = false;
  std::jthread thread_;
};

DeadlineGuard::DeadlineGuard(int fd, std::chrono::milliseconds limit)
    : fd_(fd), end_(std::chrono::steady_clock::now() + limit) {
  Watchdog::instance().add(this);
}

DeadlineGuard::~DeadlineGuard() {
  Watchdog::instance().remove(this);
}

}  // namespace tide
