#include "ledger/ack_ledger.hpp"

#include <algorithm>
#include <utility>

namespace tide {

std::uint64_t AckLedger::add(std::shared_ptr<const Page> page) {
  const auto first = next_token();
  bytes_ += page->bytes;
  states_.insert(states_.end(), page->events.size(), State{});
  for (std::size_t i = 0; i < page->letter_ids.size(); ++i) {
    letters_[first + i].result.dead_letter_id = page->letter_ids[i];
  }
  pages_.push_back({std::move(page), first});
  return first;
}

const AckLedger::Entry& AckLedger::entry_of(std::uint64_t token) const {
  const auto after = std::upper_bound(pages_.begin(), pages_.end(), token,
                                      [](std::uint64_t t, const Entry& entry) { return t < entry.first; });
  return *std::prev(after);
}

const Event& AckLedger::event(std::uint64_t token) const {
  const auto& entry = entry_of(token);
  return entry.page->events[token - entry.first];
}

bool AckLedger::settled(std::uint64_t token) const {
  return token < first_ || states_[token - first_].settled;
}

bool AckLedger::settle(std::uint64_t token, std::uint64_t sink_position) {
  if (token >= next_token() || settled(token)) return false;
  states_[token - first_] = {true, sink_position};
  return true;
}

bool AckLedger::stored(std::uint64_t token, std::uint64_t sink_position) {
  if (!settle(token, sink_position)) return false;
  if (!letters_.empty()) {
    if (const auto letter = letters_.find(token); letter != letters_.end()) letter->second.has_result = true;
  }
  return true;
}

std::int64_t AckLedger::letter_id(std::uint64_t token) const {
  const auto letter = letters_.find(token);
  return letter == letters_.end() ? 0 : letter->second.result.dead_letter_id;
}

void AckLedger::put_back(std::uint64_t token) {
  settle(token, 0);
}

bool AckLedger::rejected(std::uint64_t token, std::string subject, std::string error) {
  if (!settle(token, 0)) return false;
  if (const auto letter = letters_.find(token); letter != letters_.end()) {
    letter->second = {{letter->second.result.dead_letter_id, true, std::move(subject), std::move(error)}, true};
    return true;
  }
  const auto& e = event(token);
  dead_letters_[token] = {e.id,
                          e.created_at_us,
                          std::string(e.stream_table),
                          std::string(e.op),
                          std::string(e.key),
                          std::string(e.headers),
                          std::string(e.payload),
                          std::move(subject),
                          std::move(error)};
  return true;
}

// So that a commit takes a short time, whatever was rejected: the token of the first dead letter that is too much.
std::uint64_t AckLedger::first_letter_beyond() const {
  std::size_t count = 0;
  std::size_t bytes = 0;
  for (const auto& [token, letter] : dead_letters_) {
    bytes += letter.payload.size() + letter.headers.size();
    if (count > 0 && (count == kLetters || bytes > kLetterBytes)) return token;
    ++count;
  }
  return next_token();
}

std::optional<Acknowledged> AckLedger::acknowledge() {
  std::optional<Position> reached;
  const auto gap = std::find_if(states_.begin(), states_.end(), [](const State& s) { return !s.settled; });
  // The first token that is not covered.
  const auto end = std::min(first_ + static_cast<std::uint64_t>(gap - states_.begin()), first_letter_beyond());
  const auto open = states_.begin() + static_cast<std::ptrdiff_t>(end - first_);
  while (!pages_.empty()) {
    const auto& [page, first] = pages_.front();
    if (first + page->events.size() > end) {
      if (end > first && end > first_) reached = page->after(end - first - 1);
      break;
    }
    reached = page->end;
    bytes_ -= page->bytes;
    pages_.pop_front();
  }
  if (!reached) return std::nullopt;

  for (auto it = states_.begin(); it != open; ++it) greatest_ = std::max(greatest_, it->sink_position);
  states_.erase(states_.begin(), open);
  first_ = end;
  // An event beyond the gap may stand before one within it, where the latter was sent again. Whoever looks for it
  // after sink_position must find it.
  auto sink_position = greatest_;
  for (const auto& s : states_) {
    if (s.sink_position != 0) sink_position = std::min(sink_position, s.sink_position - 1);
  }
  sink_position_ = std::max(sink_position_, sink_position);
  committed_ = *reached;
  std::vector<DeadLetter> letters;
  const auto kept = dead_letters_.lower_bound(end);
  for (auto it = dead_letters_.begin(); it != kept; ++it) letters.push_back(std::move(it->second));
  dead_letters_.erase(dead_letters_.begin(), kept);
  std::vector<RetriedLetter> retried;
  const auto open_letters = letters_.lower_bound(end);
  for (auto it = letters_.begin(); it != open_letters; ++it) {
    if (it->second.has_result) retried.push_back(std::move(it->second.result));
  }
  letters_.erase(letters_.begin(), open_letters);
  return Acknowledged(std::move(*reached), sink_position_, std::move(letters), std::move(retried));
}

Acknowledged AckLedger::stand_at(std::uint64_t sink_position) {
  for (auto& state : states_) state.sink_position = 0;  // counted elsewhere
  greatest_ = sink_position_ = sink_position;
  return Acknowledged(committed_, sink_position, {}, {});
}

}  // namespace tide
