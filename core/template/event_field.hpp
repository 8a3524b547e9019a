// One value of an event, by the name that templates and routes call it. Immutable once made; any thread.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/event.hpp"
#include "template/json_fields.hpp"

namespace tide {

// The event at hand, as its values are looked up. One thread at a time.
struct EventJson {
  JsonFields headers;
  JsonFields payload;
  std::array<char, 24> digits{};  // of the outbox_id
};

class EventField {
 public:
  enum class Source { stream_table, op, outbox_id, outbox, dedup_key, header, payload };

  // "stream_table", "op", "outbox_id", "outbox", "dedup_key", "header.NAME" or "payload.a.b"; nothing for other names.
  // A header's name may hold dots; a payload's path is split at them.
  static std::optional<EventField> parse(std::string_view name);

  [[nodiscard]] Source source() const { return source_; }

  // json must have been reset to the event's. The value is as JsonFields gives it; what is no JSON is a string. The
  // view is valid until the next call.
  JsonFields::Found find(const Event& event, EventJson& json, std::string_view& value) const;

 private:
  explicit EventField(Source source) : source_(source) {}

  Source source_;
  std::vector<std::string> path_;  // of a header or payload field, for JsonFields
};

}  // namespace tide
