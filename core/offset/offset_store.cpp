#include "offset/offset_store.hpp"

#include <unistd.h>

#include <array>

#include "base/crash_point.hpp"

namespace tide {

namespace {

// The first of the two keys of every advisory lock of this program ("tide" in ASCII); the second is the offset_id.
constexpr const char* kLockClass = "1953064037";

// An array of PostgreSQL's, as a parameter.
class TextArray {
 public:
  void add(std::string_view text) {
    begin();
    text_ += '"';
    for (const char c : text) {
      if (c == '"' || c == '\\') text_ += '\\';
      text_ += c;
    }
    text_ += '"';
  }
  void add_or_null(std::string_view text) {
    if (!text.empty()) return add(text);
    begin();
    text_ += "NULL";
  }
  [[nodiscard]] bool empty() const { return text_.size() == 1; }
  [[nodiscard]] std::string text() const { return text_ + '}'; }

 private:
  void begin() {
    if (!empty()) text_ += ',';
  }
  std::string text_ = "{";
};

std::string host_and_pid() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return std::string(name.data()) + ':' + std::to_string(::getpid());
}

}  // namespace

OffsetStore::OffsetStore(const pg::Settings& settings, PositionMemory& memory)
    : session_(settings), memory_(memory), relay_(host_and_pid()) {
  // An offset that is lost in a crash of the server is found again by delivering the same events again, which the sink
  // recognises; waiting for the disk each time would buy nothing. A row that somebody holds must not keep the other
  // pipelines, and the lease, for long.
  session_.query("SET synchronous_commit = off; SET lock_timeout = '500ms'");
  session_.query("DELETE FROM tide.relays WHERE backend_pid NOT IN (SELECT pid FROM pg_catalog.pg_stat_activity)");
  const auto encoding = session_.query("SHOW server_encoding");
  ascii_ = encoding.at(0, 0) != "UTF8" && encoding.at(0, 0) != "SQL_ASCII";
  beat();
  read_mark();
}

std::string OffsetStore::storable(const std::string& text) const {
  if (!ascii_) return text;
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) out += c;
    if (byte >= 0xc0) out += '?';  // the first of a character's bytes
  }
  return out;
}

void OffsetStore::read_mark() {
  const std::lock_guard lock(mutex_);
  const auto row = session_.query("SELECT id, mark FROM tide.installation");
  memory_.begin(std::string(row.at(0, 0)), std::string(row.at(0, 1)));
}

std::optional<OffsetStore::Owned> OffsetStore::acquire(const std::string& pipeline, const std::string& outbox,
                                                       const std::string& group, const std::string& start) {
  const std::lock_guard lock(mutex_);
  const auto claimed = session_.query("SELECT tide.relay_claim($1, $2, $3, $4)", {pipeline, outbox, group, start});
  const auto id = std::string(claimed.at(0, 0));
  if (session_.query("SELECT pg_try_advisory_lock(" + std::string(kLockClass) + ", " + id + ")").at(0, 0) != "t") {
    end_hung_holder(id);
    return std::nullopt;
  }
  const auto row = [&] {
    try {
      return session_.query(
          "UPDATE tide.consumer_offsets SET relay = $2 WHERE offset_id = $1 RETURNING offset_id, outbox_id, last_id,"
          " snapshot, next_xid, late_snapshot, late_next_xid, late_id, sink_position, tide.was_restored()",
          {id, relay_});
    } catch (const pg::SqlError&) {
      unlock(id);
      throw;
    }
  }();
  if (row.empty()) {  // deleted in between
    unlock(id);
    return std::nullopt;
  }
  Owned owned;
  owned.offset_id = row.integer(0, 0);
  owned.outbox_id = row.integer(0, 1);
  owned.position.last_id = row.integer(0, 2);
  owned.position.snapshot = row.at(0, 3);
  owned.position.next_xid = row.integer(0, 4);
  if (!row.is_null(0, 5)) {
    owned.position.late = Position::Late{std::string(row.at(0, 5)), row.integer(0, 6), row.integer(0, 7)};
  }
  owned.sink_position = static_cast<std::uint64_t>(row.integer(0, 8));
  owned.restored = row.at(0, 9) == "t";
  owned.behind = memory_.ahead(owned.offset_id, owned.position.last_id);
  return owned;
}

void OffsetStore::end_hung_holder(const std::string& offset_id) {
  session_.query(
      "SELECT pg_terminate_backend(r.backend_pid) FROM pg_catalog.pg_locks l"
      " JOIN tide.relays r ON r.backend_pid = l.pid WHERE l.locktype = 'advisory' AND l.granted"
      " AND l.classid = " +
          std::string(kLockClass) +
          " AND l.objid = $1::oid AND l.objsubid = 2"
          " AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())"
          " AND r.seen_at < clock_timestamp() - $2::interval",
      {offset_id, std::to_string(kHung.count()) + " ms"});
}

void OffsetStore::release(std::int64_t offset_id) {
  const std::lock_guard lock(mutex_);
  unlock(std::to_string(offset_id));
}

void OffsetStore::unlock(const std::string& offset_id) {
  session_.query("SELECT pg_advisory_unlock(" + std::string(kLockClass) + ", " + offset_id + ")");
}

void OffsetStore::commit(std::int64_t offset_id, const Acknowledged& progress) {
  const auto& p = progress.position();
  std::vector<pg::Param> params = {std::to_string(offset_id),
                                   std::to_string(p.last_id),
                                   p.snapshot,
                                   std::to_string(p.next_xid),
                                   std::nullopt,
                                   std::nullopt,
                                   std::nullopt,
                                   std::to_string(progress.sink_position())};
  if (p.late) {
    params[4] = p.late->snapshot;
    params[5] = std::to_string(p.late->next_xid);
    params[6] = std::to_string(p.late->last_id);
  }
  const std::lock_guard lock(mutex_);
  const bool with_letters = !progress.dead_letters().empty() || !progress.retried_letters().empty();
  if (with_letters) session_.begin();
  try {
    add_letters(params[0], progress.dead_letters());
    settle_letters(progress.retried_letters());
    crash_point("mid_commit");
    const auto moved =
        session_.query_prepared("commit_offset",
                                "UPDATE tide.consumer_offsets SET last_id = $2, snapshot = $3, next_xid = $4,"
                                " late_snapshot = $5, late_next_xid = $6, late_id = $7, sink_position = $8,"
                                " committed_at = now() WHERE offset_id = $1 RETURNING 1",
                                params);
    if (moved.empty())
      throw pg::SqlError("its offset was deleted (tide.relay_delete): nothing can be committed any more", kDeleted);
    if (with_letters) session_.commit();
    memory_.reached(offset_id, p.last_id);
    crash_point("after_commit");
  } catch (...) {
    if (with_letters) session_.rollback();
    throw;
  }
}

void OffsetStore::add_letters(const pg::Param& offset_id, const std::vector<DeadLetter>& letters) {
  if (letters.empty()) return;
  TextArray ids, created, tables, ops, keys, headers, payloads, subjects, errors;
  for (const auto& letter : letters) {
    ids.add(std::to_string(letter.outbox_id));
    created.add(std::to_string(letter.created_at_us));
    tables.add(letter.stream_table);
    ops.add(letter.op);
    keys.add(letter.key);
    headers.add_or_null(letter.headers);
    payloads.add(letter.payload);
    subjects.add_or_null(storable(letter.subject));
    errors.add(storable(letter.error));
  }
  session_.query(
      "INSERT INTO tide.dead_letter_messages (pipeline, outbox, consumer_group, outbox_id, created_at, stream_table,"
      " op, dedup_key, headers, payload, subject, error)"
      " SELECT c.pipeline, b.name, c.consumer_group, d.id, to_timestamp(d.created / 1000000.0), d.stream_table, d.op,"
      " d.dedup_key, d.headers::jsonb, d.payload::jsonb, d.subject, d.error"
      " FROM tide.consumer_offsets c JOIN tide.outboxes b USING (outbox_id),"
      " unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],"
      " $10::text[]) WITH ORDINALITY AS d (id, created, stream_table, op, dedup_key, headers, payload, subject, error,"
      " n) WHERE c.offset_id = $1 ORDER BY d.n",
      {offset_id, ids.text(), created.text(), tables.text(), ops.text(), keys.text(), headers.text(), payloads.text(),
       subjects.text(), errors.text()});
}

// A letter that somebody is discarding at this moment is passed over: a commit must not wait for people. If they change
// their mind it is sent once more, under the same key.
void OffsetStore::settle_letters(const std::vector<RetriedLetter>& letters) {
  TextArray stored, rejected, subjects, errors;
  for (const auto& letter : letters) {
    const auto id = std::to_string(letter.dead_letter_id);
    if (!letter.rejected) {
      stored.add(id);
      continue;
    }
    rejected.add(id);
    subjects.add_or_null(storable(letter.subject));
    errors.add(storable(letter.error));
  }
  const std::string unlocked =
      "(SELECT dead_letter_id FROM tide.dead_letter_messages WHERE dead_letter_id = ANY($1::bigint[])"
      " FOR UPDATE SKIP LOCKED)";
  if (!rejected.empty())
    session_.query(
        "UPDATE tide.dead_letter_messages m SET state = 'dead', tries = tries + 1, subject = d.subject,"
        " error = d.error, failed_at = now()"
        " FROM unnest($1::bigint[], $2::text[], $3::text[]) d (id, subject, error)"
        " WHERE m.dead_letter_id = d.id AND m.dead_letter_id IN " +
            unlocked,
        {rejected.text(), subjects.text(), errors.text()});
  if (!stored.empty())
    session_.query("DELETE FROM tide.dead_letter_messages WHERE dead_letter_id IN " + unlocked, {stored.text()});
}

void OffsetStore::note(std::int64_t offset_id, const std::string& state, const std::string& error) {
  const std::lock_guard lock(mutex_);
  session_.query(
      "UPDATE tide.consumer_offsets SET state = $2, last_error = coalesce($3, last_error),"
      " last_error_at = CASE WHEN $3::text IS NULL THEN last_error_at ELSE now() END WHERE offset_id = $1",
      {std::to_string(offset_id), state, error.empty() ? pg::Param() : storable(error)});
}

pg::Session::Identity OffsetStore::identity() {
  const std::lock_guard lock(mutex_);
  return session_.identity();
}

void OffsetStore::beat() {
  const auto now = Clock::now();  // the lease counts from before the question, however long the answer takes
  const std::lock_guard lock(mutex_);
  session_.query_prepared(
      "beat",
      "INSERT INTO tide.relays (backend_pid, relay) VALUES (pg_backend_pid(), $1)"
      " ON CONFLICT (backend_pid) DO UPDATE SET relay = excluded.relay, seen_at = clock_timestamp()",
      {relay_});
  lease_until_ = (now + kLease).time_since_epoch();
}

}  // namespace tide
