// A text with {variables}, compiled once and rendered for each event. Immutable once made; any thread.
//
// Variables: {pipeline} and every EventField, each with an optional default: {payload.region|unknown}. {{ and }} are
// literal braces.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/event.hpp"
#include "template/event_field.hpp"

namespace tide {

// What is wrong with a template's text.
class TemplateError : public Error {
 public:
  TemplateError(const std::string& what, std::size_t column) : Error(what), column_(column) {}
  [[nodiscard]] std::size_t column() const { return column_; }  // 1-based, in characters

 private:
  std::size_t column_;
};

class Template {
 public:
  // What the rendered text is for.
  enum class Use {
    // A name with tokens between dots, such as a subject. No event can widen, break or lengthen it: in values each '*',
    // '>', white space, control character and '.' becomes '_'. {stream_table}, {outbox} and {pipeline}, which are names
    // that an administrator gave, keep their dots, and so does a value that the template lets have several tokens,
    // {payload.topic>}; of these only a dot that would make an empty token becomes '_'.
    subject,
    text,  // values as they are
  };

  // Throws TemplateError.
  explicit Template(std::string_view text, Use use = Use::subject, std::string_view pipeline = {});

  // Replaces out by the rendered text. json must have been reset to the event's. Returns why the event can't be
  // rendered: a variable without a default is missing, null or empty (no sink can route by an empty name), or an object
  // or array. An empty default is the author's word and stays empty.
  [[nodiscard]] std::optional<std::string> render(const Event& event, EventJson& json, std::string& out) const;

  // The text before any event is seen: {outbox} is known, each other variable is TIDE_UNKNOWN, or TIDE_UNKNOWN_TOKENS
  // where the template lets it have several tokens, or has a default with dots.
  [[nodiscard]] std::string shape(std::string_view outbox) const;

 private:
  enum class Dots { one_token, tokens, as_is };
  struct Part {
    std::string text;                 // a literal; else the variable's name, for messages
    std::optional<EventField> field;  // none: a literal
    Dots dots = Dots::as_is;
    bool several_tokens = false;          // by the template's word
    std::optional<std::string> fallback;  // the default
  };

  [[nodiscard]] Part variable(std::string_view inner, std::size_t column, std::string_view pipeline) const;
  void append(std::string& out, std::string_view value, Dots dots) const;

  Use use_;
  std::vector<Part> parts_;
};

}  // namespace tide
