// How far a consumer group has read. A plain value; any thread.
//
// PostgreSQL hands out ids before it commits them, so "everything up to id 7" is not a position: id 6 may still be in
// a transaction that runs. A position therefore remembers the snapshot under which it read (the rule of PgQ):
// every row with id <= last_id that was visible in `snapshot` is delivered, and nothing else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace tide {

struct Position {
  std::int64_t last_id = 0;
  std::string snapshot = "3:3:";  // a pg_snapshot: xmin:xmax:running xids
  // No xid at or above it had been given out when the snapshot was taken. Whoever has such an xid draws ids later than
  // every id the snapshot shows. It closes the gap that a snapshot leaves: its xmax is one past the last *completed*
  // transaction, and running ones at or above xmax are in no list.
  std::int64_t next_xid = 3;

  // Set while rows are delivered that have id <= last_id and became visible after `snapshot`: those that are visible
  // in late->snapshot and have id <= late->last_id are delivered, too.
  struct Late {
    std::string snapshot;
    std::int64_t next_xid = 0;
    std::int64_t last_id = 0;
  };
  std::optional<Late> late;
};

}  // namespace tide
