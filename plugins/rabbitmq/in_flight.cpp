// SPDX-License-Identifier: Apache-2.0
#include "in_flight.hpp"

#include <algorithm>
#include <utility>

namespace tide::rabbitmq {

void InFlight::add(Entry entry) {
  ++unsettled_;
  bytes_ += entry.size;
  if (ordered_) orders_.insert(entry.order);
  entries_.push_back(std::move(entry));
}

bool InFlight::returned(const std::string& message_id, const std::string& exchange, const std::string& routing_key,
                        const std::string& why) {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) {
    return !e.settled && e.returned.empty() && e.message_id == message_id && e.exchange == exchange &&
           e.routing_key == routing_key;
  });
  if (found != entries_.end()) found->returned = why;
  return found != entries_.end();
}

void InFlight::settle_one(Entry& entry, const std::function<void(const Entry&)>& settle) {
  if (std::exchange(entry.settled, true)) return;
  --unsettled_;
  bytes_ -= entry.size;
  orders_.erase(entry.order);
  settle(entry);
}

void InFlight::confirmed(std::uint64_t tag, bool multiple, const std::function<void(const Entry&)>& settle) {
  const auto end = first_tag_ + entries_.size();
  if (tag == 0) tag = end - 1;  // with multiple: all
  if (tag < first_tag_ || tag >= end) return;
  for (auto at = multiple ? first_tag_ : tag; at <= tag; ++at)
    settle_one(entries_[static_cast<std::size_t>(at - first_tag_)], settle);
  for (; !entries_.empty() && entries_.front().settled; ++first_tag_) entries_.pop_front();
}

void InFlight::end(const std::function<void(const Entry&)>& settle) {
  for (auto& entry : entries_) settle_one(entry, settle);
  entries_.clear();
  first_tag_ = 1;
}

}  // namespace tide::rabbitmq
