// The session that owns pipelines: it holds their advisory locks and commits their offsets, so that a relay that lost
// a lock has no way to commit. Any thread; calls take turns.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/acknowledged.hpp"
#include "base/postgres.hpp"
#include "offset/position_memory.hpp"

namespace tide {

class OffsetStore {
 public:
  // Connects; throws pg::ConnectionLost. The memory outlives it.
  OffsetStore(const pg::Settings& settings, PositionMemory& memory);

  // An offset whose lock this session holds now.
  struct Owned {
    std::int64_t offset_id = 0;
    std::int64_t outbox_id = 0;
    Position position;
    std::uint64_t sink_position = 0;
    bool restored = false;    // from a dump: the position is another server's
    std::int64_t behind = 0;  // of what this relay committed: the database went back to an earlier state
  };
  // Takes the pipeline's lock and reads its offset; nullopt while another relay has it.
  // Throws pg::SqlError where the offset can't be had at all (no such outbox, another pipeline's group).
  std::optional<Owned> acquire(const std::string& pipeline, const std::string& outbox, const std::string& group,
                               const std::string& start);
  void release(std::int64_t offset_id);

  // Moves the offset; stores new dead letters, and removes or renews those that were sent again, with it in one
  // transaction. Throws pg::ConnectionLost when the session, and every lock with it, is gone; pg::SqlError with the
  // state kDeleted when the offset is.
  static constexpr const char* kDeleted = "02000";
  void commit(std::int64_t offset_id, const Acknowledged& progress);

  // Tells what the pipeline is doing, for people: "running", "waiting", "stopped", … and why.
  void note(std::int64_t offset_id, const std::string& state, const std::string& error);

  // Says that this relay lives, which holds its lease for another kLease. Throws pg::ConnectionLost.
  void beat();

  // After the mark of the installation has changed: what is remembered of positions begins anew.
  void read_mark();

  // Of the session.
  pg::Session::Identity identity();

  // Whether a pipeline may send now. A relay that was stopped for a while finds its lease run out, and sends nothing
  // before it knows that its locks are still its own: by then another relay may have taken over.
  [[nodiscard]] bool holds_lease() const { return Clock::now().time_since_epoch() < lease_until_.load(); }

  static constexpr std::chrono::milliseconds kLease{2500};
  // A relay that was not seen for so long is hung: its session is ended, and its pipelines are free.
  static constexpr std::chrono::milliseconds kHung{3000};

 private:
  using Clock = std::chrono::steady_clock;

  // Errors are made of words that the database's encoding may lack.
  [[nodiscard]] std::string storable(const std::string& text) const;
  void unlock(const std::string& offset_id);
  void end_hung_holder(const std::string& offset_id);
  void add_letters(const pg::Param& offset_id, const std::vector<DeadLetter>& letters);
  void settle_letters(const std::vector<RetriedLetter>& letters);

  std::mutex mutex_;
  pg::Session session_;
  PositionMemory& memory_;
  const std::string relay_;
  bool ascii_ = false;  // of what it is not sure to have
  std::atomic<Clock::duration> lease_until_ = Clock::duration::zero();
};

}  // namespace tide
