// A template and an event. First line: the template; then the event.
#include "template/template.hpp"

#include <simdjson.h>
#include <tide/sink.h>

#include <algorithm>
#include <optional>
#include <string>

#include "base/value.hpp"
#include "event_input.hpp"
#include "fuzz.hpp"

using tide::Event;
using tide::EventField;
using tide::Template;
using tide::fuzz::require;
using Found = tide::JsonFields::Found;

namespace {

bool is_unknown(char c) {
  return c == TIDE_UNKNOWN || c == TIDE_UNKNOWN_TOKENS;
}

bool breaks_a_subject(char c) {
  return c == '*' || c == '>' || c == ' ' || tide::fuzz::is_control(c);
}

// True when the text is the shape with something in each place that was unknown.
bool fits(std::string_view shape, std::string_view text) {
  std::size_t s = 0;
  std::size_t t = 0;
  std::size_t unknown = std::string_view::npos;
  std::size_t resume = 0;
  while (t < text.size()) {
    if (s < shape.size() && is_unknown(shape[s])) {
      unknown = s++;
      resume = t;
    } else if (s < shape.size() && shape[s] == text[t]) {
      ++s;
      ++t;
    } else if (unknown != std::string_view::npos) {
      s = unknown + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return std::all_of(shape.begin() + static_cast<std::ptrdiff_t>(s), shape.end(), is_unknown);
}

void check(const tide::TemplateError& error, std::string_view text) {
  const std::string_view what = error.what();
  require(error.column() >= 1 && error.column() <= text.size() + 1, "an error is at a column of the text", text);
  require(std::none_of(what.begin(), what.end(), tide::fuzz::is_control), "an error is one line", what);
  require(simdjson::validate_utf8(what), "an error is UTF-8", what);
  require(what.size() < 500, "an error is short", what);
}

void check_reason(std::string_view why) {
  require(why.find('{') < why.find('}') && why.find('}') != std::string_view::npos, "a reason names its variable", why);
  require(std::none_of(why.begin(), why.end(), tide::fuzz::is_control), "a reason is one line", why);
  require(simdjson::validate_utf8(why), "a reason is UTF-8", why);
}

void check_rendering(std::string_view text, Template::Use use, const Template& compiled, const Event& event) {
  auto json = tide::fuzz::json_of(event);
  std::string out;
  if (const auto why = compiled.render(event, json, out)) return check_reason(*why);

  std::string again;
  require(!compiled.render(event, json, again) && again == out, "an event is rendered the same each time", out);
  if (text.find_first_of("{}") == std::string_view::npos) require(out == text, "plain text stays as it is", out);
  const auto shape = compiled.shape(event.outbox);
  require(fits(shape, out), "a rendered text has the shape that was told before", out + " of shape " + shape);
  if (use == Template::Use::subject) {
    const auto breaking = std::count_if(out.begin(), out.end(), breaks_a_subject);
    const auto own =
        std::count_if(shape.begin(), shape.end(), [](char c) { return breaks_a_subject(c) && !is_unknown(c); });
    require(breaking == own, "no value brings in what breaks a subject", out);
  }
}

// What JsonFields must find for a value, and as which text.
std::pair<Found, std::string> expected(const tide::Value& value) {
  if (value.get<std::nullptr_t>() != nullptr) return {Found::null, {}};
  if (const auto* string = value.get<std::string>()) return {Found::string, *string};
  const auto text = tide::to_json(value);
  if (value.get<bool>() != nullptr) return {Found::boolean, text};
  if (value.get<tide::Array>() != nullptr || value.get<tide::Object>() != nullptr) return {Found::nested, text};
  return {Found::number, text};
}

// Each field of a JSON object is found under its name, as it is.
void check_fields(std::string_view text) {
  tide::Value value;
  try {
    value = tide::parse_json(text);
  } catch (const tide::ConfigError&) {
    return;  // no JSON, or numbers that a Value can't hold
  }
  const auto* object = value.get<tide::Object>();
  if (object == nullptr) return;

  // Named and written as PostgreSQL does.
  Event event;
  const auto printed = tide::to_json(value);
  event.headers = printed;
  auto json = tide::fuzz::json_of(event);
  for (const auto& [name, field] : *object) {
    if (name.empty()) continue;  // no variable can name it
    const auto [found, wanted] = expected(field);
    std::string_view seen;
    require(EventField::parse("header." + name)->find(event, json, seen) == found, "a field is found as what it is",
            printed);
    require(found == Found::null || found == Found::nested || seen == wanted, "a field's value is the one written",
            seen);
  }
  auto next = object->begin();
  require(json.headers.each([&](std::string_view name, std::string_view seen) {
    while (next != object->end() && next->second.get<std::nullptr_t>() != nullptr) ++next;
    require(next != object->end() && next->first == name && expected(next->second).second == seen,
            "the fields come one by one, as they are", printed);
    ++next;
  }),
          "an object can be read", printed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tide::fuzz::Lines lines(tide::fuzz::text_of(data, size));
  const auto text = lines.next();
  const auto event = tide::fuzz::event_of(lines);
  int compiles = 0;
  for (const auto use : {Template::Use::subject, Template::Use::text}) {
    std::optional<Template> compiled;
    try {
      compiled.emplace(text, use, "a.pipeline");
    } catch (const tide::TemplateError& error) {
      check(error, text);
      continue;
    }
    ++compiles;
    check_rendering(text, use, *compiled, event);
  }
  require(compiles != 1, "a template is right or wrong, whatever its use", text);
  check_fields(event.headers);
  check_fields(event.payload);
  return 0;
}
