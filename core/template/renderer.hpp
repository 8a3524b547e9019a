// Turns an event into what the sink is sent beside the payload: the template options' texts and the event's headers.
// One per pipeline; one thread at a time.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/event.hpp"
#include "template/template.hpp"

namespace tide {

// One template option of the sink, in the order of its options table.
struct TemplateOption {
  std::string name;
  std::optional<Template> text;  // none: the option is not set
};

// Owns its text, so it outlives the renderer's next call. Reuse one to reuse its buffers.
struct RenderedMessage {
  std::vector<std::string> fields;  // one for each template option; empty when it is not set
  std::vector<std::pair<std::string, std::string>> headers;
};

class Renderer {
 public:
  explicit Renderer(std::vector<TemplateOption> options) : options_(std::move(options)) {}

  // Returns why the event can never be sent (it belongs to the dead letters); out is then undefined. Headers: strings
  // as they are, numbers and booleans as JSON writes them, objects and arrays as compact JSON, null left out.
  [[nodiscard]] std::optional<std::string> render(const Event& event, RenderedMessage& out);

 private:
  std::vector<TemplateOption> options_;
  EventJson json_;
};

}  // namespace tide
