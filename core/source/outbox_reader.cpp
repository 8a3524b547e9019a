#include "source/outbox_reader.hpp"

#include <charconv>
#include <utility>

#include "source/event_row.hpp"

namespace tide {

namespace {

// One statement is one snapshot: the session is at REPEATABLE READ, so even planning sees the statement's snapshot,
// and next_xid, read while it runs, is never older than it.
//
// $1 last_id, $2 snapshot, $3 next_xid, $4 late snapshot, $5 late last_id, $6 limit, $7 limit in bytes.
// Kind 0 is one row about the read itself; 1 rows that became visible late; 2 new rows; 3 and 4 stand for late and new
// rows that are beyond the limit in bytes. While late rows are being paged through ($4), new ones wait: the snapshot
// that bounds the late ones must not move.
//
// Late rows are looked up by the xid of each transaction that was running then and is not any more. Usually there is
// none, or one; the id alone would mean a scan over everything that is kept. (xid, id) is compared as a row, which only
// the index on both can answer: with the two apart, statistics of an outbox that bulk transactions fill make the
// planner take the primary key and filter by xid, a scan over everything that is kept again.
std::string read_sql(const std::string& part, const std::string& wake) {
  const std::string columns =
      "m.id, (date_part('epoch', m.created_at) * 1000000)::bigint, m.stream_table, m.op, m.dedup_key, m.headers, "
      "m.payload";
  // Of rows in the order of id, those before which fewer than $7 bytes stand; the others without their texts.
  const auto cut = [](const std::string& kind, const std::string& kind_beyond, const std::string& rows) {
    return "(SELECT CASE WHEN beyond THEN " + kind_beyond + " ELSE " + kind +
           " END, id, created, stream_table, op, dedup_key, CASE WHEN NOT beyond THEN headers END,"
           " CASE WHEN NOT beyond THEN payload END FROM (SELECT r.*, coalesce(sum(tide.payload_bytes(payload)) OVER ("
           "ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) >= $7::bigint AS beyond FROM (" +
           rows + ") r (id, created, stream_table, op, dedup_key, headers, payload)) c)";
  };
  return "WITH now AS MATERIALIZED ("
         "SELECT snap, pg_snapshot_xmax(snap)::text::bigint + age(pg_snapshot_xmax(snap)::xid) AS next_xid"
         " FROM (SELECT pg_current_snapshot() AS snap) s), "
         "ended AS MATERIALIZED ("
         "SELECT d.xid FROM now, ("
         "SELECT pg_snapshot_xip($2::pg_snapshot) AS xid"
         " UNION ALL SELECT x::text::xid8 FROM generate_series(pg_snapshot_xmax($2::pg_snapshot)::text::bigint,"
         " $3::bigint - 1) x) d"
         " WHERE pg_visible_in_snapshot(d.xid, coalesce($4::pg_snapshot, now.snap))) "
         "SELECT 0, next_xid, pg_sequence_last_value('" +
         wake +
         "'::regclass), snap::text, NULL, NULL, NULL::jsonb,"
         " NULL::jsonb FROM now "
         "UNION ALL " +
         cut("1", "3",
             "SELECT late.* FROM ended CROSS JOIN LATERAL (SELECT " + columns + " FROM " + part +
                 " m WHERE (m.xid, m.id) > (ended.xid, $5::bigint) AND (m.xid, m.id) <= (ended.xid, $1::bigint)"
                 " ORDER BY m.xid, m.id LIMIT $6::bigint) late ORDER BY 1 LIMIT $6::bigint") +
         " UNION ALL " +
         cut("2", "4",
             "SELECT " + columns + " FROM " + part +
                 " m WHERE m.id > $1::bigint AND $4::pg_snapshot IS NULL"
                 " ORDER BY m.id LIMIT $6::bigint");
}

// A position that is not moved while nothing comes has ever more transactions to look through at each read.
constexpr std::int64_t kFarBehind = 1000;

std::int64_t xmax_of(const std::string& snapshot) {
  std::int64_t xmax = 0;
  const auto colon = snapshot.find(':') + 1;
  std::from_chars(snapshot.data() + colon, snapshot.data() + snapshot.size(), xmax);
  return xmax;
}

}  // namespace

OutboxReader::OutboxReader(pg::SessionPool& sessions, std::int64_t outbox_id, std::string outbox,
                           std::string key_prefix)
    : sessions_(sessions),
      outbox_(std::move(outbox)),
      key_prefix_(std::move(key_prefix)),
      statement_("read_" + std::to_string(outbox_id)),
      sql_(read_sql("tide.outbox_" + std::to_string(outbox_id), "tide.outbox_" + std::to_string(outbox_id) + "_wake")),
      wake_("tide.outbox_" + std::to_string(outbox_id) + "_wake") {}

void OutboxReader::prepare_session(pg::Session& session) {
  // What it writes, a wake-up's flag and what is swept, may be forgotten in a crash: no standby need have it first.
  session.query(
      "SET synchronous_commit = off; SET default_transaction_isolation = 'repeatable read'; "
      "SET plan_cache_mode = "
      "force_generic_plan;"
      "SET jit = off; SET max_parallel_workers_per_gather = 0; SET enable_seqscan = off; SET enable_bitmapscan = off;"
      "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off");
}

std::shared_ptr<const Page> OutboxReader::read(const Position& position, std::size_t limit, std::size_t max_bytes) {
  std::vector<pg::Param> params(7);
  params[0] = std::to_string(position.last_id);
  params[1] = position.snapshot;
  params[2] = std::to_string(position.next_xid);
  if (position.late) params[3] = position.late->snapshot;
  params[4] = std::to_string(position.late ? position.late->last_id : 0);
  params[5] = std::to_string(limit);
  params[6] = std::to_string(max_bytes);

  const auto rows =
      sessions_.run([&](pg::Session& session) { return session.query_prepared(statement_, sql_, params); });
  auto page = std::make_shared<Page>();
  page->storage = std::make_shared<const pg::Result>(rows);
  page->before = position;
  page->events.reserve(rows.size() - 1);
  std::size_t fresh = 0;
  bool more_late = false;
  bool more_new = false;
  EventRow row;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows.row(i, row);
    const auto kind = row[0];
    if (kind == "0") {
      page->next_xid = pg::to_integer(row[kId]);
      page->wake_asked = pg::to_integer(row[kCreated]) > 1;
      page->snapshot = row[kStreamTable];
      continue;
    }
    more_late = more_late || kind == "3" || (kind == "2" && page->late_count == limit);
    more_new = more_new || kind == "4" || (kind == "2" && page->events.size() == limit);
    if (kind == "1") {
      ++page->late_count;
    } else if (kind != "2" || more_late || more_new) {
      continue;  // they do not fit, or the late rows that are left come first
    } else {
      ++fresh;
    }
    Event event = event_of(row, outbox_);
    if (event.key.data() == nullptr) {
      page->made_keys.push_back(key_prefix_ + std::to_string(event.id) + '/' + std::to_string(event.created_at_us));
      event.key = page->made_keys.back();
    }
    page->add(event);
  }

  more_late = more_late || page->late_count == limit;
  page->full = more_late || more_new || page->events.size() == limit || position.late.has_value();
  if (more_late) {
    page->end = position;
    if (!page->end.late) page->end.late = Position::Late{page->snapshot, page->next_xid, 0};
    page->end.late->last_id = page->events.back().id;
  } else if (position.late) {
    page->end = {position.last_id, position.late->snapshot, position.late->next_xid, {}};
  } else if (!page->events.empty()) {
    page->end = {fresh > 0 ? page->events.back().id : position.last_id, page->snapshot, page->next_xid, {}};
  } else if (page->next_xid - xmax_of(position.snapshot) > kFarBehind) {
    page->end = {position.last_id, page->snapshot, page->next_xid, {}};
  } else {
    page->end = position;  // the older snapshot is as true, and needs no commit
  }
  return page;
}

void OutboxReader::ask_wake(bool asked) {
  sessions_.run([&](pg::Session& session) {
    return session.query("SELECT setval('" + wake_ + "', " + (asked ? "2" : "1") + ")");
  });
}

}  // namespace tide
