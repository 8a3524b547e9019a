// Decides how much is read at once and how much is sent at once. Holds the tokens of events that wait to be sent.
// One thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "base/page.hpp"

namespace tide {

class Batcher {
 public:
  explicit Batcher(std::size_t batch_size) : batch_size_(batch_size) {}

  // The page's events were given the tokens first, first + 1, …
  void add(const Page& page, std::uint64_t first);

  // Sends these again, in this order, before all that wait.
  void again(std::span<const std::uint64_t> tokens);
  void clear() { waiting_.clear(); }

  // The next batch: at most batch_size tokens. Full ones under load; when little waits, what there is, at once.
  [[nodiscard]] std::span<const std::uint64_t> next();
  void sent(std::size_t count);  // the first `count` of next() are on their way

  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

  // How many events to read next: enough to make a read worth its round trip, few enough to stay within kPageBytes
  // when the events are as large as the largest seen lately.
  [[nodiscard]] std::size_t read_limit() const { return read_limit_; }
  // Whether to read on while earlier events wait.
  [[nodiscard]] bool wants_more() const { return waiting_.size() < std::max(batch_size_, read_limit_ / 2); }

  static constexpr std::size_t kMaxRead = 2000;
  static constexpr std::size_t kPageBytes = 4 << 20;

 private:
  const std::size_t batch_size_;
  std::size_t read_limit_ = 100;
  std::deque<std::uint64_t> waiting_;
  std::vector<std::uint64_t> batch_;
};

}  // namespace tide
