#include "template/template.hpp"

#include <tide/sink.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/value.hpp"

namespace tide {
namespace {

constexpr std::string_view kKnown =
    "{stream_table}, {op}, {outbox_id}, {outbox}, {dedup_key}, {header.NAME}, {payload.FIELD}";

constexpr std::string_view kHeader = "header.";
constexpr std::string_view kPayload = "payload.";

void append_safe(std::string& out, std::string_view value) {
  const std::size_t begin = out.size();
  out += value;
  std::replace_if(
      out.begin() + static_cast<std::ptrdiff_t>(begin), out.end(),
      [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte <= ' ' || byte == 0x7f || c == '*' || c == '>';
      },
      '_');
}

std::size_t column_of(std::string_view text, std::size_t at) {
  const auto before = text.substr(0, at);
  return 1 + static_cast<std::size_t>(std::count_if(
                 before.begin(), before.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string at_column(std::size_t column) {
  return " at column " + std::to_string(column);
}

std::string json_key(std::string_view name) {
  std::string quoted;
  append_json_string(quoted, name);
  return quoted.substr(1, quoted.size() - 2);
}

}  // namespace

Template::Template(std::string_view text) {
  if (text.empty()) throw TemplateError("the template is empty", 1);
  std::string literal;
  const auto end_literal = [&] {
    if (!literal.empty()) parts_.push_back({Source::literal, std::move(literal), {}, {}});
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
      parts_.push_back(variable(text.substr(i + 1, close - i - 1), column));
      i = close;
    } else if (c == TIDE_UNKNOWN) {
      throw TemplateError("the control character" + at_column(column) + " is not allowed", column);
    } else {
      literal += c;
    }
  }
  end_literal();
}

Template::Part Template::variable(std::string_view inner, std::size_t column) {
  const std::size_t bar = inner.find('|');
  const std::string_view name = inner.substr(0, bar);
  Part part;
  part.text = name;
  if (bar != std::string_view::npos) append_safe(part.fallback.emplace(), inner.substr(bar + 1));

  static constexpr std::array<std::pair<std::string_view, Source>, 5> kPlain = {{{"stream_table", Source::stream_table},
                                                                                 {"op", Source::op},
                                                                                 {"outbox_id", Source::outbox_id},
                                                                                 {"outbox", Source::outbox},
                                                                                 {"dedup_key", Source::dedup_key}}};
  const auto* plain =
      std::find_if(kPlain.begin(), kPlain.end(), [&](const auto& entry) { return entry.first == name; });
  if (plain != kPlain.end()) {
    part.source = plain->second;
    return part;
  }
  // A header's name may hold dots; a payload's path is split at them.
  if (name.starts_with(kHeader) && name.size() > kHeader.size()) {
    part.source = Source::header;
    part.path.push_back(json_key(name.substr(kHeader.size())));
    return part;
  }
  if (name.starts_with(kPayload)) {
    part.source = Source::payload;
    std::string_view rest = name.substr(kPayload.size());
    for (std::size_t dot = 0; dot != std::string_view::npos;) {
      dot = rest.find('.');
      part.path.push_back(json_key(rest.substr(0, dot)));
      if (dot != std::string_view::npos) rest.remove_prefix(dot + 1);
    }
    const bool whole = std::none_of(part.path.begin(), part.path.end(), [](const auto& key) { return key.empty(); });
    if (whole) return part;
  }
  throw TemplateError("unknown variable {" + printable(name) + "}" + at_column(column) + "; known are " +
                          std::string(kKnown) + "; write '{{' for a literal brace",
                      column);
}

std::optional<std::string> Template::render(const Event& event, EventJson& json, std::string& out) const {
  out.clear();
  std::array<char, 24> digits{};
  for (const auto& part : parts_) {
    std::string_view value;
    auto found = JsonFields::Found::value;
    switch (part.source) {
      case Source::literal:
        out += part.text;
        continue;
      case Source::stream_table:
        value = event.stream_table;
        break;
      case Source::op:
        value = event.op;
        break;
      case Source::outbox_id: {
        const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), event.id).ptr;
        value = std::string_view(digits.data(), static_cast<std::size_t>(end - digits.data()));
        break;
      }
      case Source::outbox:
        value = event.outbox;
        break;
      case Source::dedup_key:
        value = event.key;
        break;
      case Source::header:
        found = json.headers.find(part.path, value);
        break;
      case Source::payload:
        found = json.payload.find(part.path, value);
        break;
    }
    if (found == JsonFields::Found::value && value.empty()) found = JsonFields::Found::missing;
    if (found == JsonFields::Found::value) {
      append_safe(out, value);
    } else if (found == JsonFields::Found::missing && part.fallback) {
      out += *part.fallback;
    } else if (found == JsonFields::Found::missing) {
      return "the event has no value for {" + printable(part.text) + "}; the template can give it a default: {" +
             printable(part.text) + "|unknown}";
    } else if (found == JsonFields::Found::nested) {
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
    if (part.source == Source::literal) {
      out += part.text;
    } else if (part.source == Source::outbox && !outbox.empty()) {
      append_safe(out, outbox);
    } else {
      out += TIDE_UNKNOWN;
    }
  }
  return out;
}

}  // namespace tide
