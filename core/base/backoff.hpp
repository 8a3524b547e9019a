// How long to wait before the next try: doubles from initial to max, with jitter so that relays do not march in step.
// One thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace tide {

class Backoff {
 public:
  Backoff(std::chrono::milliseconds initial, std::chrono::milliseconds max) : initial_(initial), max_(max) {}

  // Between half and the whole of the present step.
  std::chrono::milliseconds next() {
    step_ = step_.count() == 0 ? std::min(initial_, max_) : std::min(step_ * 2, max_);
    std::uniform_int_distribution<long long> jitter(step_.count() / 2, step_.count());
    return std::chrono::milliseconds(jitter(random_));
  }

  void reset() { step_ = {}; }

 private:
  const std::chrono::milliseconds initial_;
  const std::chrono::milliseconds max_;
  std::chrono::milliseconds step_{0};
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace tide
