// How both readers' rows hold an event, after a first column of their own. Pure.
#pragma once

#include <array>
#include <string_view>

#include "base/event.hpp"
#include "base/postgres.hpp"

namespace tide {

enum Column { kId = 1, kCreated, kStreamTable, kOp, kKey, kHeaders, kPayload, kColumns };
using EventRow = std::array<std::string_view, kColumns>;

// Views of `row` and `outbox`. Without a key where the row has none.
inline Event event_of(const EventRow& row, std::string_view outbox) {
  Event event;
  event.id = pg::to_integer(row[kId]);
  event.created_at_us = pg::to_integer(row[kCreated]);
  event.outbox = outbox;
  event.stream_table = row[kStreamTable].data() == nullptr ? outbox : row[kStreamTable];
  event.op = row[kOp];
  event.key = row[kKey];
  event.headers = row[kHeaders];
  event.payload = row[kPayload];
  return event;
}

}  // namespace tide
