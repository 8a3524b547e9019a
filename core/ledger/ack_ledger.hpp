// Keeps every event from the moment it is read until its offset may be committed: which are settled (stored, or
// rejected to the dead letters), and how far they are settled without a gap. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/acknowledged.hpp"
#include "base/page.hpp"

namespace tide {

class AckLedger {
 public:
  // From what was committed before: the position, and the sink's.
  explicit AckLedger(Position committed = {}, std::uint64_t sink_position = 0)
      : committed_(std::move(committed)), greatest_(sink_position), sink_position_(sink_position) {}

  // Takes a page that was read; its events get the tokens first, first + 1, …, and the first is returned. Tokens
  // start at 1 and never come again. A page without events may still move the position.
  std::uint64_t add(std::shared_ptr<const Page> page);

  // The event is settled. False, and no effect, if the token is unknown or settled already.
  bool stored(std::uint64_t token, std::uint64_t sink_position);
  bool rejected(std::uint64_t token, std::string subject, std::string error);

  // Which dead letter the event is; 0: none. put_back() settles one without a result, so that it stays as it is stored.
  [[nodiscard]] std::int64_t letter_id(std::uint64_t token) const;
  void put_back(std::uint64_t token);

  [[nodiscard]] const Event& event(std::uint64_t token) const;  // token: not yet taken by acknowledge()
  [[nodiscard]] bool settled(std::uint64_t token) const;
  [[nodiscard]] std::uint64_t first_token() const { return first_; }  // the oldest that is kept
  [[nodiscard]] std::uint64_t next_token() const { return first_ + states_.size(); }
  [[nodiscard]] bool empty() const { return states_.empty(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }  // what the kept pages' texts take

  // The progress since the last call, over the settled prefix, with at most so many dead letters; nullopt if there was
  // none. Forgets what it covers. Its sink position leaves nothing behind it that is not settled.
  static constexpr std::size_t kLetters = 500;
  static constexpr std::size_t kLetterBytes = 4u << 20;  // or one letter
  std::optional<Acknowledged> acknowledge();

  // The sink says where it stands, and that it knows no position from before: no progress but this.
  Acknowledged stand_at(std::uint64_t sink_position);

 private:
  struct Entry {
    std::shared_ptr<const Page> page;
    std::uint64_t first = 0;  // token of the page's first event
  };
  struct State {
    bool settled = false;
    std::uint64_t sink_position = 0;  // where the sink keeps it; 0: nowhere, or it does not count
  };

  [[nodiscard]] const Entry& entry_of(std::uint64_t token) const;
  [[nodiscard]] std::uint64_t first_letter_beyond() const;
  bool settle(std::uint64_t token, std::uint64_t sink_position);

  std::deque<Entry> pages_;
  std::deque<State> states_;
  std::uint64_t first_ = 1;
  std::size_t bytes_ = 0;
  std::map<std::uint64_t, DeadLetter> dead_letters_;
  struct Letter {
    RetriedLetter result;
    bool has_result = false;
  };
  std::map<std::uint64_t, Letter> letters_;  // of pages of dead letters, by token
  Position committed_;                       // the last that was handed out
  std::uint64_t greatest_;                   // sink position of what was acknowledged
  std::uint64_t sink_position_;              // the last that was handed out
};

}  // namespace tide
