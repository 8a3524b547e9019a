// An event out of an input: a line each for op, stream_table, key, outbox and headers, and the payload in what follows.
// One thread.
#pragma once

#include "base/event.hpp"
#include "fuzz.hpp"
#include "template/event_field.hpp"

namespace tide::fuzz {

inline Event event_of(Lines& lines) {
  Event event;
  event.id = 42;
  event.op = lines.next();
  event.stream_table = lines.next();
  event.key = lines.next();
  event.outbox = lines.next();
  event.headers = lines.next();
  event.payload = lines.rest();
  return event;
}

inline EventJson json_of(const Event& event) {
  EventJson json;
  json.headers.reset(event.headers);
  json.payload.reset(event.payload);
  return json;
}

}  // namespace tide::fuzz
