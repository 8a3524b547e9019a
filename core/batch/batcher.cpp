#include "batch/batcher.hpp"

#include <algorithm>

namespace tide {

void Batcher::add(const Page& page, std::uint64_t first) {
  std::size_t largest = 1;
  for (std::size_t i = 0; i < page.events.size(); ++i) {
    waiting_.push_back(first + i);
    largest = std::max(largest, page.events[i].payload.size() + page.events[i].headers.size());
  }
  if (page.events.empty()) return;
  // Grows slowly and shrinks at once.
  const auto fitting = std::clamp<std::size_t>(kPageBytes / largest, 1, kMaxRead);
  read_limit_ = std::min(fitting, read_limit_ * 2);
}

void Batcher::again(std::span<const std::uint64_t> tokens) {
  waiting_.insert(waiting_.begin(), tokens.begin(), tokens.end());
}

std::span<const std::uint64_t> Batcher::next() {
  const auto count = std::min(batch_size_, waiting_.size());
  batch_.assign(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
  return batch_;
}

void Batcher::sent(std::size_t count) {
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
}

}  // namespace tide
