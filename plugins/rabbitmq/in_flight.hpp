// SPDX-License-Identifier: Apache-2.0
//
// The messages that were sent and not yet confirmed, by their delivery tags: 1, 2, 3… since the channel was opened. One
// thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <unordered_set>

namespace tide::rabbitmq {

class InFlight {
 public:
  struct Entry {
    std::uint64_t token;
    std::string exchange;
    std::string routing_key;
    std::string message_id;
    std::string order;  // what order_by gives
    std::size_t size;   // of the body
    std::chrono::steady_clock::time_point sent;
    std::string returned = {};  // why no queue took it; empty: one did
    bool settled = false;
  };

  explicit InFlight(bool ordered) : ordered_(ordered) {}

  [[nodiscard]] bool empty() const { return unsettled_ == 0; }
  [[nodiscard]] std::size_t size() const { return unsettled_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  // Whether one that must come before it is in flight.
  [[nodiscard]] bool must_wait(const std::string& order) const { return ordered_ && orders_.contains(order); }
  // Not when empty.
  [[nodiscard]] const Entry& oldest() const { return entries_.front(); }

  void add(Entry entry);
  // Of the first that it may be; false where there is none.
  bool returned(const std::string& message_id, const std::string& exchange, const std::string& routing_key,
                const std::string& why);
  // Calls settle for the message of that tag, and those before it where it is said of several.
  void confirmed(std::uint64_t tag, bool multiple, const std::function<void(const Entry&)>& settle);
  // Calls settle for all of them. Tags count from 1 again.
  void end(const std::function<void(const Entry&)>& settle);

 private:
  void settle_one(Entry& entry, const std::function<void(const Entry&)>& settle);

  const bool ordered_;
  std::deque<Entry> entries_;  // the first is not settled
  std::uint64_t first_tag_ = 1;
  std::size_t unsettled_ = 0;
  std::size_t bytes_ = 0;
  std::unordered_set<std::string> orders_;
};

}  // namespace tide::rabbitmq
