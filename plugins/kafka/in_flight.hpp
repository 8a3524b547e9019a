// SPDX-License-Identifier: Apache-2.0
//
// The records that were handed to librdkafka and not yet reported on, in their order. Each has a number, which
// librdkafka keeps for it. One thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "settings.hpp"

namespace tide::kafka {

class InFlight {
 public:
  struct Entry {
    std::uint64_t token = 0;
    std::string key;  // the event's
    std::chrono::steady_clock::time_point since;
    bool alone = false;  // in its batch, and so what befalls the batch is its own doing
    bool settled = false;
  };

  [[nodiscard]] bool empty() const { return unsettled_ == 0; }
  // An old one without a report holds its place: what came after it counts, too.
  [[nodiscard]] bool full() const { return next_ - oldest_ == kMostInFlight; }
  [[nodiscard]] std::size_t size() const { return unsettled_; }

  [[nodiscard]] std::uint64_t next_number() const { return next_; }
  void add(std::uint64_t token, std::string_view key, bool alone, std::chrono::steady_clock::time_point now) {
    auto& entry = at(next_++);
    entry.token = token;
    entry.key = key;
    entry.since = now;
    entry.alone = alone;
    entry.settled = false;
    ++unsettled_;
  }

  [[nodiscard]] const Entry& oldest() const { return entries_[oldest_ % kMostInFlight]; }  // not when empty

  // Takes the number's entry out. Null for one that is not in flight. Valid until the next add.
  const Entry* settle(std::uint64_t number) {
    if (number < oldest_ || number >= next_ || at(number).settled) return nullptr;
    auto& entry = at(number);
    entry.settled = true;
    --unsettled_;
    while (oldest_ != next_ && at(oldest_).settled) ++oldest_;
    return &entry;
  }

 private:
  Entry& at(std::uint64_t number) { return entries_[number % kMostInFlight]; }

  std::vector<Entry> entries_{kMostInFlight};
  std::uint64_t oldest_ = 1;
  std::uint64_t next_ = 1;
  std::size_t unsettled_ = 0;
};

}  // namespace tide::kafka
