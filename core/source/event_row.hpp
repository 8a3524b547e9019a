// How both readers' rows hold an event, after a first column of their own. Pure.
#pragma once

#include "base/event.hpp"
#include "base/postgres.hpp"

namespace tide {

enum Column { kId = 1, kCreated, kStreamTable, kOp, kKey, kHeaders, kPayload };

// Views into `rows` and `outbox`, which must outlive it. Without a key where the row has none.
inline Event event_row(const pg::Result& rows, std::size_t row, std::string_view outbox) {
  Event event;
  event.id = rows.integer(row, kId);
  event.created_at_us = rows.integer(row, kCreated);
  event.outbox = outbox;
  event.stream_table = rows.is_null(row, kStreamTable) ? outbox : rows.at(row, kStreamTable);
  event.op = rows.at(row, kOp);
  event.key = rows.at(row, kKey);
  event.headers = rows.at(row, kHeaders);
  event.payload = rows.at(row, kPayload);
  return event;
}

}  // namespace tide
