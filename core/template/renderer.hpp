// Turns an event into what the sink is sent: which route it takes, the template options' texts, the message's id, body
// and headers. One per pipeline; one thread at a time.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/event.hpp"
#include "template/condition.hpp"
#include "template/format.hpp"
#include "template/template.hpp"

namespace tide {

// One template option of the sink, in the order of its options table.
struct TemplateOption {
  std::string name;
  std::optional<Template> text;  // none: the option is not set
};

// What is rendered for an event, by its route.
struct MessageTemplates {
  std::vector<TemplateOption> fields;
  std::optional<Template> message_id;          // none: the event's key
  std::optional<Template> cloudevents_type;    // of the format cloudevents
  std::optional<Template> cloudevents_source;  // the same
};

struct Route {
  std::vector<Condition> when;  // all must hold
  bool drop = false;            // the event is not sent, and is delivered thereby
  MessageTemplates message;
};

struct Rendering {
  MessageTemplates message;   // of an event that no route takes
  std::vector<Route> routes;  // the first that matches takes the event
  Format format;
};

// Owns its text, so it outlives the renderer's next call. Reuse one to reuse its buffers.
struct RenderedMessage {
  bool dropped = false;             // by its route; the rest is then undefined
  std::vector<std::string> fields;  // one for each template option; empty when it is not set
  std::string key;                  // empty: the event's own
  std::string payload;              // empty: the event's own
  std::vector<std::pair<std::string, std::string>> headers;
};

class Renderer {
 public:
  explicit Renderer(Rendering rendering) : rendering_(std::move(rendering)) {}

  // Returns why the event can never be sent (it belongs to the dead letters); out is then undefined. Headers: strings
  // as they are, numbers and booleans as JSON writes them, objects and arrays as compact JSON, null left out.
  [[nodiscard]] std::optional<std::string> render(const Event& event, RenderedMessage& out);

 private:
  [[nodiscard]] const Route* route_of(const Event& event);
  [[nodiscard]] std::optional<std::string> render_key(const MessageTemplates& templates, const Event& event,
                                                      std::string& key);
  [[nodiscard]] std::optional<std::string> format(const MessageTemplates& templates, const Event& event,
                                                  RenderedMessage& out);

  Rendering rendering_;
  EventJson json_;
  CloudEventTexts cloudevent_;  // reused
};

}  // namespace tide
