#include "template/renderer.hpp"

#include <algorithm>
#include <tuple>

namespace tide {
namespace {

constexpr std::size_t kMaxKey = 1024;

// Neither a message's id nor an attribute of a CloudEvent may be empty or hold a control character.
std::optional<std::string> name_fault(std::string_view text) {
  if (text.empty()) return "is empty";
  const bool control =
      std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; });
  if (control) return "has a control character";
  return std::nullopt;
}

}  // namespace

const Route* Renderer::route_of(const Event& event) {
  const auto route = std::find_if(rendering_.routes.begin(), rendering_.routes.end(), [&](const Route& r) {
    return std::all_of(r.when.begin(), r.when.end(), [&](const Condition& c) { return c.holds(event, json_); });
  });
  return route == rendering_.routes.end() ? nullptr : &*route;
}

std::optional<std::string> Renderer::render_key(const MessageTemplates& templates, const Event& event,
                                                std::string& key) {
  key.clear();
  if (!templates.message_id) return std::nullopt;
  if (auto why = templates.message_id->render(event, json_, key)) return "message_id: " + *why;
  if (const auto fault = name_fault(key)) return "message_id: the event's " + *fault;
  if (key.size() > kMaxKey) {
    return "message_id: the event's has " + std::to_string(key.size()) + " bytes, and may have " +
           std::to_string(kMaxKey);
  }
  return std::nullopt;
}

std::optional<std::string> Renderer::render(const Event& event, RenderedMessage& out) {
  json_.headers.reset(event.headers);
  json_.payload.reset(event.payload);
  out.dropped = false;
  out.payload.clear();

  const MessageTemplates* templates = &rendering_.message;
  if (const Route* route = route_of(event)) {
    out.dropped = route->drop;
    if (out.dropped) return std::nullopt;
    templates = &route->message;
  }

  out.fields.resize(templates->fields.size());
  for (std::size_t i = 0; i < templates->fields.size(); ++i) {
    const auto& [name, text] = templates->fields[i];
    out.fields[i].clear();
    if (!text) continue;
    if (auto why = text->render(event, json_, out.fields[i])) return name + ": " + *why;
  }
  if (auto why = render_key(*templates, event, out.key)) return why;

  std::size_t count = 0;
  const bool readable = json_.headers.each([&](std::string_view name, std::string_view value) {
    if (count == out.headers.size()) out.headers.emplace_back();
    out.headers[count].first.assign(name);
    out.headers[count].second.assign(value);
    ++count;
  });
  if (!readable) return "the event's headers are not a JSON object";
  out.headers.resize(count);
  return format(*templates, event, out);
}

std::optional<std::string> Renderer::format(const MessageTemplates& templates, const Event& event,
                                            RenderedMessage& out) {
  using Kind = Format::Kind;
  const auto kind = rendering_.format.kind;
  const std::string_view id = out.key.empty() ? event.key : std::string_view(out.key);
  if (kind == Kind::debezium) {
    format_debezium(event, id, rendering_.format.debezium_fields, json_, out.headers, out.payload);
  } else if (kind != Kind::raw) {
    for (const auto& [name, text, value] :
         {std::tuple("cloudevents_type", &templates.cloudevents_type, &cloudevent_.type),
          {"cloudevents_source", &templates.cloudevents_source, &cloudevent_.source}}) {
      if (auto why = (*text)->render(event, json_, *value)) return std::string(name) + ": " + *why;
      if (const auto fault = name_fault(*value)) return std::string(name) + ": the event's " + *fault;
    }
    if (kind == Kind::cloudevents_binary) {
      format_cloudevent_binary(event, id, cloudevent_, out.headers);
    } else {
      format_cloudevent_structured(event, id, cloudevent_, out.headers, out.payload);
    }
  }
  return std::nullopt;
}

}  // namespace tide
