#include "template/renderer.hpp"

namespace tide {

std::optional<std::string> Renderer::render(const Event& event, RenderedMessage& out) {
  json_.headers.reset(event.headers);
  json_.payload.reset(event.payload);

  out.fields.resize(options_.size());
  for (std::size_t i = 0; i < options_.size(); ++i) {
    out.fields[i].clear();
    if (!options_[i].text) continue;
    if (auto why = options_[i].text->render(event, json_, out.fields[i])) return options_[i].name + ": " + *why;
  }

  std::size_t count = 0;
  const bool readable = json_.headers.each([&](std::string_view name, std::string_view value) {
    if (count == out.headers.size()) out.headers.emplace_back();
    out.headers[count].first.assign(name);
    out.headers[count].second.assign(value);
    ++count;
  });
  if (!readable) return "the event's headers are not a JSON object";
  out.headers.resize(count);
  return std::nullopt;
}

}  // namespace tide
