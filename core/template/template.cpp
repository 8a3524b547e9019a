#include "template/template.hpp"

#include <tide/sink.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/value.hpp"

namespace tide {
namespace {

constexpr std::string_view kKnown =
    "{stream_table}, {op}, {outbox_id}, {outbox}, {dedup_key}, {header.NAME}, {payload.FIELD}, {pipeline}";

// What a value may not bring into a subject: wildcards, white space, control characters; and dots, but for some.
constexpr auto kUnsafe = [] {
  std::array<bool, 256> unsafe{};
  for (std::size_t c = 0; c <= ' '; ++c) unsafe[c] = true;
  for (const char c : {'*', '>', '.', '\x7f'}) unsafe[static_cast<unsigned char>(c)] = true;
  return unsafe;
}();

bool is_unsafe(char c) {
  return kUnsafe[static_cast<unsigned char>(c)];
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < ' ' || c == '\x7f';
}

std::size_t column_of(std::string_view text, std::size_t at) {
  const auto before = text.substr(0, at);
  return 1 + static_cast<std::size_t>(std::count_if(
                 before.begin(), before.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string at_column(std::size_t column) {
  return " at column " + std::to_string(column);
}

}  // namespace

Template::Template(std::string_view text, Use use, std::string_view pipeline) : use_(use) {
  if (text.empty()) throw TemplateError("the template is empty", 1);
  std::string literal;
  const auto end_literal = [&] {
    if (!literal.empty()) parts_.emplace_back().text = std::move(literal);
    literal.clear();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const std::size_t column = column_of(text, i);
    if ((c == '{' || c == '}') && i + 1 < text.size() && text[i + 1] == c) {
      literal += c;
      ++i;
    } else if (c == '}') {
      throw TemplateError("the '}'" + at_column(column) + " closes nothing; write '}}' for a literal brace", column);
    } else if (c == '{') {
      const std::size_t close = text.find_first_of("{}", i + 1);
      if (close == std::string_view::npos || text[close] == '{') {
        throw TemplateError("the '{'" + at_column(column) + " is never closed; write '{{' for a literal brace", column);
      }
      end_literal();
      parts_.push_back(variable(text.substr(i + 1, close - i - 1), column, pipeline));
      i = close;
    } else if (is_control(c)) {
      throw TemplateError("the control character" + at_column(column) + " is not allowed", column);
    } else {
      literal += c;
    }
  }
  end_literal();
}

Template::Part Template::variable(std::string_view inner, std::size_t column, std::string_view pipeline) const {
  const std::size_t bar = inner.find('|');
  std::string_view name = inner.substr(0, bar);
  Part part;
  if (bar != std::string_view::npos) append(part.fallback.emplace(), inner.substr(bar + 1), Dots::as_is);
  if (name == "pipeline") {
    append(part.text, pipeline, Dots::tokens);
    return part;
  }
  if (name.ends_with('>')) {
    part.several_tokens = true;
    name.remove_suffix(1);
  }
  part.text = name;
  part.field = EventField::parse(name);
  if (!part.field) {
    throw TemplateError("unknown variable {" + printable(name) + "}" + at_column(column) + "; known are " +
                            std::string(kKnown) + "; write '{{' for a literal brace",
                        column);
  }
  using Source = EventField::Source;
  const auto source = part.field->source();
  const bool is_name = source == Source::stream_table || source == Source::outbox;
  part.dots = part.several_tokens || is_name ? Dots::tokens : Dots::one_token;
  return part;
}

void Template::append(std::string& out, std::string_view value, Dots dots) const {
  if (use_ == Use::text) {
    out += value;
    return;
  }
  const std::size_t begin = out.size();
  out += value;
  if (std::none_of(value.begin(), value.end(), is_unsafe)) return;
  for (std::size_t i = begin; i < out.size(); ++i) {
    const bool empty_token = i == begin || i + 1 == out.size() || out[i - 1] == '.';
    const bool wrong_dot = dots == Dots::one_token || (dots == Dots::tokens && empty_token);
    if (is_unsafe(out[i]) && (out[i] != '.' || wrong_dot)) out[i] = '_';
  }
}

std::optional<std::string> Template::render(const Event& event, EventJson& json, std::string& out) const {
  using Found = JsonFields::Found;
  out.clear();
  for (const auto& part : parts_) {
    if (!part.field) {
      out += part.text;
      continue;
    }
    std::string_view value;
    auto found = part.field->find(event, json, value);
    if (found == Found::null || (found == Found::string && value.empty())) found = Found::missing;
    if (found == Found::string || found == Found::number || found == Found::boolean) {
      append(out, value, part.dots);
    } else if (found == Found::missing && part.fallback) {
      out += *part.fallback;
    } else if (found == Found::missing) {
      return "the event has no value for {" + printable(part.text) + "}; the template can give it a default: {" +
             printable(part.text) + "|unknown}";
    } else if (found == Found::nested) {
      return "the event's {" + printable(part.text) + "} is an object or an array; a template needs a single value";
    } else {
      return "the event's JSON can't be read for {" + printable(part.text) + "}";
    }
  }
  return std::nullopt;
}

std::string Template::shape(std::string_view outbox) const {
  std::string out;
  for (const auto& part : parts_) {
    if (!part.field) {
      out += part.text;
    } else if (part.field->source() == EventField::Source::outbox && !outbox.empty()) {
      append(out, outbox, part.dots);
    } else {
      const bool several = part.several_tokens || part.fallback.value_or("").find('.') != std::string::npos;
      out += several ? TIDE_UNKNOWN_TOKENS : TIDE_UNKNOWN;
    }
  }
  return out;
}

}  // namespace tide
