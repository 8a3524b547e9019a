// What a message's body and headers look like: the event's payload as it is, a CloudEvent, or what Debezium's outbox
// event router makes. docs/formats.md has the mappings. Immutable; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/event.hpp"
#include "template/event_field.hpp"

namespace tide {

using Headers = std::vector<std::pair<std::string, std::string>>;

// A column of the outbox table as Debezium knows it, and where its value goes.
struct DebeziumField {
  std::string column;
  bool in_envelope = false;  // else a header
  std::string alias;         // under which name
  EventField header;         // of the event, that has the column's value
};

struct Format {
  enum class Kind { raw, cloudevents_binary, cloudevents_structured, debezium };
  Kind kind = Kind::raw;
  [[nodiscard]] bool is_cloudevents() const {
    return kind == Kind::cloudevents_binary || kind == Kind::cloudevents_structured;
  }
  std::vector<DebeziumField> debezium_fields;
};

// The attributes of a CloudEvent that templates give.
struct CloudEventTexts {
  std::string type;
  std::string source;
};

// Each adds the format's headers to the event's own, which give way to them, and writes the body to payload (left alone
// where the event's own payload is the body).
void format_cloudevent_binary(const Event& event, std::string_view id, const CloudEventTexts& texts, Headers& headers);
void format_cloudevent_structured(const Event& event, std::string_view id, const CloudEventTexts& texts,
                                  Headers& headers, std::string& payload);
void format_debezium(const Event& event, std::string_view id, const std::vector<DebeziumField>& fields, EventJson& json,
                     Headers& headers, std::string& payload);

}  // namespace tide
