#include "template/event_field.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/value.hpp"

namespace tide {
namespace {

constexpr std::string_view kHeader = "header.";
constexpr std::string_view kPayload = "payload.";

constexpr std::array<std::pair<std::string_view, EventField::Source>, 5> kPlain = {
    {{"stream_table", EventField::Source::stream_table},
     {"op", EventField::Source::op},
     {"outbox_id", EventField::Source::outbox_id},
     {"outbox", EventField::Source::outbox},
     {"dedup_key", EventField::Source::dedup_key}}};

std::string json_key(std::string_view name) {
  std::string quoted;
  append_json_string(quoted, name);
  return quoted.substr(1, quoted.size() - 2);
}

}  // namespace

std::optional<EventField> EventField::parse(std::string_view name) {
  const auto* plain =
      std::find_if(kPlain.begin(), kPlain.end(), [&](const auto& entry) { return entry.first == name; });
  if (plain != kPlain.end()) return EventField(plain->second);

  if (name.starts_with(kHeader) && name.size() > kHeader.size()) {
    EventField field(Source::header);
    field.path_.push_back(json_key(name.substr(kHeader.size())));
    return field;
  }
  if (!name.starts_with(kPayload)) return std::nullopt;
  EventField field(Source::payload);
  std::string_view rest = name.substr(kPayload.size());
  for (std::size_t dot = 0; dot != std::string_view::npos;) {
    dot = rest.find('.');
    if (rest.substr(0, dot).empty()) return std::nullopt;
    field.path_.push_back(json_key(rest.substr(0, dot)));
    if (dot != std::string_view::npos) rest.remove_prefix(dot + 1);
  }
  return field;
}

JsonFields::Found EventField::find(const Event& event, EventJson& json, std::string_view& value) const {
  switch (source_) {
    case Source::stream_table:
      value = event.stream_table;
      break;
    case Source::op:
      value = event.op;
      break;
    case Source::outbox_id: {
      const auto end = std::to_chars(json.digits.data(), json.digits.data() + json.digits.size(), event.id).ptr;
      value = std::string_view(json.digits.data(), static_cast<std::size_t>(end - json.digits.data()));
      break;
    }
    case Source::outbox:
      value = event.outbox;
      break;
    case Source::dedup_key:
      value = event.key;
      break;
    case Source::header:
      return json.headers.find(path_, value);
    case Source::payload:
      return json.payload.find(path_, value);
  }
  return JsonFields::Found::string;
}

}  // namespace tide
