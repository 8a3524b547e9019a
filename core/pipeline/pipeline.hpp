// One pipeline while this relay owns it: source -> batch -> template -> sink -> ledger -> offset. The one place that
// knows all stages. run() belongs to one thread; wake() may come from any.
#pragma once

#include <tide/sink.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "base/backoff.hpp"
#include "base/memory_budget.hpp"
#include "base/wakeup.hpp"
#include "batch/batcher.hpp"
#include "config/sink_config.hpp"
#include "ledger/ack_ledger.hpp"
#include "offset/offset_store.hpp"
#include "sink/sink.hpp"
#include "source/letter_reader.hpp"
#include "source/source.hpp"
#include "template/renderer.hpp"

namespace tide {

class Pipeline {
 public:
  struct Parts {
    std::string name;
    SinkConfig config;
    std::shared_ptr<const Plugin> plugin;
    std::unique_ptr<Source> source;
    std::unique_ptr<LetterReader> letters;
    OffsetStore* offsets = nullptr;  // outlives the pipeline
    OffsetStore::Owned owned;
    MemoryBudget* memory = nullptr;  // outlives the pipeline
    bool once = false;               // deliver what is committed, then return
  };
  explicit Pipeline(Parts parts);

  // Delivers until asked to stop (then: waits for what is in flight, commits, returns), or with `once` until nothing
  // is left. Outages of the sink are waited out. Throws pg::ConnectionLost and pg::SqlError; with `once` also the
  // sink's errors.
  void run(const std::stop_token& stop);

  // Something was published.
  void wake() { wakeup_.notify(); }

  // Dead letters of this pipeline are to be sent again. Any thread.
  void retry_letters() {
    letters_asked_ = true;
    wakeup_.notify();
  }

 private:
  using Clock = std::chrono::steady_clock;

  bool connect(const std::stop_token& stop);
  void deliver(const std::stop_token& stop);
  [[nodiscard]] bool has_room() const;
  bool may_read();
  void read();
  bool may_read_letters();
  void read_letters();
  void forget_discarded_letters();
  void idle(const std::stop_token& stop);
  void publish();
  std::size_t publish_singly();
  void pull_acks(std::chrono::milliseconds timeout);
  void settle(const tide_result& result);
  void stand_at(std::uint64_t sink_position);
  void reject(std::uint64_t token, const std::string& error);
  void duplicate(std::uint64_t token);
  void tell_dropped();
  void send_again(const std::stop_token& stop);
  void requeue_everything();
  bool commit();  // false: there was nothing to commit
  void note(const std::string& state, const std::string& error = {});
  void sleep_for(std::chrono::milliseconds time, const std::stop_token& stop);
  [[nodiscard]] bool nothing_open() const;  // all that was read is settled
  [[nodiscard]] bool idling() const;        // and nothing more was there
  [[nodiscard]] std::uint64_t window_used() const { return ledger_.next_token() - ledger_.first_token(); }

  const std::string name_;
  const SinkConfig config_;
  const std::shared_ptr<const Plugin> plugin_;
  const std::unique_ptr<Source> source_;
  const std::unique_ptr<LetterReader> letters_;
  OffsetStore& offsets_;
  MemoryBudget& memory_;
  MemoryBudget::Share memory_held_;
  const std::int64_t offset_id_;
  const bool once_;

  Renderer renderer_;
  Batcher batcher_;
  AckLedger ledger_;
  std::unique_ptr<Sink> sink_;
  Wakeup wakeup_;

  Position read_to_;             // where the next read begins
  std::uint64_t sink_position_;  // the last one committed
  bool at_head_ = false;         // the last read found the end
  bool wake_asked_ = false;
  std::int64_t asked_xid_ = 0;  // older transactions may not have seen that publishers are to notify
  Clock::time_point last_event_ = Clock::now();
  Clock::time_point poll_at_{};
  Clock::time_point rate_since_{};  // events read at the head since then
  std::size_t rate_events_ = 0;
  double rate_ = 0;  // of the last such time, per second

  // Letters are read a page at a time, the next one once the last is committed, so that none is read twice; in the
  // order of their ids, from the first again each time they are asked for.
  std::atomic<bool> letters_asked_ = true;
  bool letters_first_ = true;  // those that an earlier life may have sent, before any event that none has
  bool letters_left_ = false;
  std::int64_t letters_after_ = 0;  // the last one's id
  std::uint64_t letters_end_ = 0;   // the token after the last one's

  std::uint64_t in_flight_ = 0;
  bool sink_full_ = false;         // it took less than it was given
  std::uint64_t first_unsent_;     // every token below it may have been sent before
  std::uint64_t doubt_end_;        // by an earlier life: every token below this one
  bool seen_head_ = false;         // a read found the end since this life began
  std::set<std::uint64_t> retry_;  // without success; sent again once nothing is in flight
  std::set<std::uint64_t> sent_again_;
  std::string retry_error_;
  int retries_without_progress_ = 0;
  bool left_before_ = false;  // the sink's server took its leave, and nothing was stored since
  Backoff backoff_;
  Backoff slow_backoff_;
  Clock::time_point connected_at_{};
  Clock::time_point commit_at_{};
  std::string noted_state_, noted_error_;

  std::uint64_t dropped_ = 0;  // by routes
  std::uint64_t dropped_told_ = 0;
  Clock::time_point tell_dropped_at_{};
  std::uint64_t shared_keys_ = 0;  // duplicates among events that were never sent before
  Clock::time_point tell_shared_keys_at_{};

  std::vector<RenderedMessage> rendered_;  // reused
  std::vector<tide_str> fields_;
  std::vector<tide_header> headers_;
  std::vector<tide_message> messages_;
};

}  // namespace tide
