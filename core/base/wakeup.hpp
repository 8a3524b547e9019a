// Lets one thread sleep until another has something for it. notify(): any thread; the rest: one thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <utility>

namespace tide {

class Wakeup {
 public:
  void notify() {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    changed_.notify_one();
  }

  // True if notified (since the last time this returned true); false after the timeout or when asked to stop.
  bool wait_for(std::chrono::milliseconds timeout, const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, timeout, [this] { return woken_; });
    return std::exchange(woken_, false);
  }

  // The same without waiting.
  bool take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(woken_, false);
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  bool woken_ = false;
};

}  // namespace tide
