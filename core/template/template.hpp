// A text with {variables}, compiled once and rendered for each event. Immutable once made; any thread.
//
// Variables: {stream_table} {op} {outbox_id} {outbox} {dedup_key} {header.NAME} {payload.a.b}, each with an optional
// default: {payload.region|unknown}. {{ and }} are literal braces. In values, and in defaults, each '*', '>', white
// space and control character becomes '_', so that no event can widen or break a subject.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/event.hpp"
#include "template/json_fields.hpp"

namespace tide {

// What is wrong with a template's text.
class TemplateError : public Error {
 public:
  TemplateError(const std::string& what, std::size_t column) : Error(what), column_(column) {}
  [[nodiscard]] std::size_t column() const { return column_; }  // 1-based, in characters

 private:
  std::size_t column_;
};

// The JSON of the event at hand. One thread at a time.
struct EventJson {
  JsonFields headers;
  JsonFields payload;
};

class Template {
 public:
  explicit Template(std::string_view text);  // throws TemplateError

  // Replaces out by the rendered text. json must have been reset to the event's. Returns why the event can't be
  // rendered: a variable without a default is missing, null or empty (no sink can route by an empty name), or an object
  // or array. An empty default is the author's word and stays empty.
  [[nodiscard]] std::optional<std::string> render(const Event& event, EventJson& json, std::string& out) const;

  // The text before any event is seen: {outbox} is known, each other variable is TIDE_UNKNOWN.
  [[nodiscard]] std::string shape(std::string_view outbox) const;

 private:
  enum class Source { literal, stream_table, op, outbox_id, outbox, dedup_key, header, payload };
  struct Part {
    Source source = Source::literal;
    std::string text;                     // a literal; else the variable's name, for messages
    std::vector<std::string> path;        // of a header or payload field, for JsonFields
    std::optional<std::string> fallback;  // the default
  };

  static Part variable(std::string_view inner, std::size_t column);

  std::vector<Part> parts_;
};

}  // namespace tide
