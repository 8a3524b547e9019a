// SPDX-License-Identifier: Apache-2.0
//
// The messages that were sent and not yet answered, in the order of sending. Numbers of its own go into the reply
// subjects, so that an answer is found by index. One thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tide::nats {

class InFlight {
 public:
  struct Entry {
    std::uint64_t token = 0;
    std::string subject;
    std::chrono::steady_clock::time_point sent;
    bool answered = false;
  };

  // More in flight gains no throughput: the server is the limit.
  static constexpr std::uint64_t capacity = 4096;

  bool empty() const { return oldest_ == next_; }
  // An old message without an answer holds its place: what came after it counts too.
  bool full() const { return next_ - oldest_ == capacity; }
  std::uint64_t unanswered() const { return unanswered_; }

  std::uint64_t next_number() const { return next_; }
  void add(std::uint64_t token, std::string_view subject, std::chrono::steady_clock::time_point now) {
    Entry& entry = at(next_++);
    entry.token = token;
    entry.subject = subject;
    entry.sent = now;
    entry.answered = false;
    ++unanswered_;
  }

  // The oldest without an answer. Not when empty.
  std::uint64_t oldest_number() const { return oldest_; }
  const Entry& oldest() const { return entries_[oldest_ % capacity]; }

  // Marks it answered. Null for a number that is not in flight, or no longer. Valid until the next add.
  const Entry* answer(std::uint64_t number) {
    if (number < oldest_ || number >= next_ || at(number).answered) return nullptr;
    Entry& entry = at(number);
    entry.answered = true;
    --unanswered_;
    while (oldest_ != next_ && at(oldest_).answered) ++oldest_;
    return &entry;
  }

 private:
  Entry& at(std::uint64_t number) { return entries_[number % capacity]; }

  std::vector<Entry> entries_{capacity};
  std::uint64_t oldest_ = 1;
  std::uint64_t next_ = 1;
  std::uint64_t unanswered_ = 0;
};

}  // namespace tide::nats
