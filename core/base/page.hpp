// What one read of an outbox gave: events in the order of delivery, and the position after each of them.
// Immutable once made; any thread.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/event.hpp"
#include "base/position.hpp"

namespace tide {

struct Page {
  std::vector<Event> events;
  std::size_t late_count = 0;  // the first so many events became visible late; the rest is new
  std::size_t bytes = 0;       // what the events' texts take
  bool full = false;           // more may be waiting: read again at once
  bool wake_asked = false;     // publishers notify: a relay may sleep

  Position before;       // where the read began
  std::string snapshot;  // what it saw
  std::int64_t next_xid = 0;
  Position end;  // where the read ended; differs from `before` also when nothing came

  std::shared_ptr<const void> storage;  // holds what the events point to
  std::deque<std::string> made_keys;    // keys of events that came without one

  // Of a page of dead letters that are sent again: each event's dead_letter_id. Such a page never moves the position:
  // `end` is `before`.
  std::vector<std::int64_t> letter_ids;

  void add(const Event& event) {
    bytes += event.payload.size() + event.headers.size() + event.key.size() + 64;
    events.push_back(event);
  }

  // The position once events 0 to index are delivered.
  [[nodiscard]] Position after(std::size_t index) const {
    if (index + 1 == events.size() || !letter_ids.empty()) return end;
    if (index >= late_count) return {events[index].id, snapshot, next_xid, {}};
    Position position = before;
    if (!position.late) position.late = Position::Late{snapshot, next_xid, 0};
    position.late->last_id = events[index].id;
    return position;
  }
};

}  // namespace tide
