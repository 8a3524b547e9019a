// What may be committed: a position up to which every event is settled. Only the ack ledger can make one, so nothing
// else can move an offset. A value; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/position.hpp"

namespace tide {

// An event that the sink can never store, with all that is needed to look at it and to send it again.
struct DeadLetter {
  std::int64_t outbox_id = 0;  // the event's id
  std::int64_t created_at_us = 0;
  std::string stream_table, op, key, headers, payload;  // headers may be empty
  std::string subject;                                  // as rendered; empty where rendering failed
  std::string error;
};

// A dead letter that was sent again, and what came of it.
struct RetriedLetter {
  std::int64_t dead_letter_id = 0;
  bool rejected = false;       // again; else it is stored
  std::string subject, error;  // of one that was rejected, as in DeadLetter
};

class Acknowledged {
 public:
  [[nodiscard]] const Position& position() const { return position_; }
  [[nodiscard]] std::uint64_t sink_position() const { return sink_position_; }  // 0: the sink does not count
  [[nodiscard]] const std::vector<DeadLetter>& dead_letters() const { return dead_letters_; }
  [[nodiscard]] const std::vector<RetriedLetter>& retried_letters() const { return retried_letters_; }

 private:
  friend class AckLedger;
  Acknowledged(Position position, std::uint64_t sink_position, std::vector<DeadLetter> dead_letters,
               std::vector<RetriedLetter> retried_letters)
      : position_(std::move(position)),
        sink_position_(sink_position),
        dead_letters_(std::move(dead_letters)),
        retried_letters_(std::move(retried_letters)) {}

  Position position_;
  std::uint64_t sink_position_;
  std::vector<DeadLetter> dead_letters_;
  std::vector<RetriedLetter> retried_letters_;
};

}  // namespace tide
