// Reads one outbox's partition by the snapshot rule (docs/how-it-works.md). One thread at a time.
#pragma once

#include <cstdint>
#include <string>

#include "base/postgres.hpp"
#include "source/source.hpp"

namespace tide {

class OutboxReader : public Source {
 public:
  // key_prefix: "<installation id>/<outbox>/", the beginning of the keys of events that were published without one.
  OutboxReader(pg::SessionPool& sessions, std::int64_t outbox_id, std::string outbox, std::string key_prefix);

  std::shared_ptr<const Page> read(const Position& position, std::size_t limit, std::size_t max_bytes) override;
  void ask_wake(bool asked) override;

  // What a session must be set to before it reads: plans that hold whatever the statistics say.
  static void prepare_session(pg::Session& session);

 private:
  pg::SessionPool& sessions_;
  const std::string outbox_;
  const std::string key_prefix_;
  const std::string statement_;  // the prepared statement's name
  const std::string sql_;
  const std::string wake_;  // the sequence
};

}  // namespace tide
