#include "base/value.hpp"

#include <simdjson.h>

#include <array>
#include <charconv>
#include <cmath>
#include <unordered_set>

#include "base/error.hpp"

namespace tide {
namespace {

[[noreturn]] void fail(const std::string& where, const std::string& text) {
  throw ConfigError({{where, text}});
}

std::string key_at(const std::string& path) {
  return "key '" + printable(path) + "'";
}

[[noreturn]] void fail_depth() {
  fail("", "the JSON is nested more than " + std::to_string(kMaxValueDepth) + " levels deep");
}

Value convert(simdjson::dom::element element, const std::string& path, int depth) {
  using simdjson::dom::element_type;
  if (depth > kMaxValueDepth) fail_depth();
  Value value;
  switch (element.type()) {
    case element_type::NULL_VALUE:
      break;
    case element_type::BOOL:
      value.data = bool(element);
      break;
    case element_type::INT64:
      value.data = std::int64_t(element);
      break;
    case element_type::DOUBLE:
      value.data = double(element);
      break;
    case element_type::STRING:
      value.data = std::string(std::string_view(element));
      break;
    case element_type::ARRAY: {
      Array array;
      for (auto item : simdjson::dom::array(element)) array.push_back(convert(item, path, depth + 1));
      value.data = std::move(array);
      break;
    }
    case element_type::OBJECT: {
      Object object;
      std::unordered_set<std::string_view> seen;
      for (auto field : simdjson::dom::object(element)) {
        const std::string name = path.empty() ? std::string(field.key) : path + "." + std::string(field.key);
        if (!seen.insert(field.key).second) fail(key_at(name), "is there twice");
        object.emplace_back(field.key, convert(field.value, name, depth + 1));
      }
      value.data = std::move(object);
      break;
    }
    default:  // UINT64, or what a newer parser keeps as text
      fail(path.empty() ? "" : key_at(path),
           "the integer is outside the range of 64 bits (-9223372036854775808 to 9223372036854775807)");
  }
  return value;
}

// In bytes, of the character that the text begins with; 0 where that is no UTF-8, or a control character.
std::size_t character_size(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return first < 0x20 || first == 0x7f ? 0 : 1;
  const std::size_t size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  return size <= text.size() && simdjson::validate_utf8(text.data(), size) ? size : 0;
}

void append_double(std::string& out, double number) {
  if (!std::isfinite(number)) {
    out += "null";  // JSON has no word for it
    return;
  }
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  const std::string_view text(digits.data(), static_cast<std::size_t>(end - digits.data()));
  out += text;
  if (text.find_first_of(".e") == std::string_view::npos) out += ".0";  // so that it is read as a double again
}

void append_value(std::string& out, const Value& value) {
  if (const auto* boolean = value.get<bool>()) {
    out += *boolean ? "true" : "false";
  } else if (const auto* integer = value.get<std::int64_t>()) {
    out += std::to_string(*integer);
  } else if (const auto* number = value.get<double>()) {
    append_double(out, *number);
  } else if (const auto* string = value.get<std::string>()) {
    append_json_string(out, *string);
  } else if (const auto* array = value.get<Array>()) {
    out += '[';
    for (const auto& item : *array) {
      if (&item != array->data()) out += ',';
      append_value(out, item);
    }
    out += ']';
  } else if (const auto* object = value.get<Object>()) {
    out += '{';
    for (const auto& field : *object) {
      if (&field != object->data()) out += ',';
      append_json_string(out, field.first);
      out += ':';
      append_value(out, field.second);
    }
    out += '}';
  } else {
    out += "null";
  }
}

}  // namespace

const Value* Value::find(std::string_view key) const {
  if (const auto* object = get<Object>()) {
    for (const auto& [name, value] : *object) {
      if (name == key) return &value;
    }
  }
  return nullptr;
}

const char* Value::type_name() const {
  static constexpr std::array<const char*, 7> kNames = {"null",     "a boolean", "an integer", "a number",
                                                        "a string", "an array",  "an object"};
  static_assert(kNames.size() == std::variant_size_v<decltype(data)>);
  return kNames[data.index()];
}

Value parse_json(std::string_view text) {
  if (text.empty()) fail("", "not valid JSON: there is no text");
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  const auto error = parser.parse(text.data(), text.size()).get(root);
  if (error == simdjson::DEPTH_ERROR) fail_depth();
  if (error == simdjson::NUMBER_ERROR) fail("", "not valid JSON: a number is malformed or too large");
  if (error) fail("", std::string("not valid JSON: ") + simdjson::error_message(error));
  return convert(root, "", 0);
}

std::string printable(std::string_view text, std::size_t max_bytes) {
  std::string out;
  while (!text.empty()) {
    const auto size = character_size(text);
    const auto shown = size == 0 ? "?" : text.substr(0, size);
    if (out.size() + shown.size() > max_bytes) return out + "…";
    out += shown;
    text.remove_prefix(shown.size());
  }
  return out;
}

std::string to_json(const Value& value) {
  std::string out;
  append_value(out, value);
  return out;
}

void append_json_string(std::string& out, std::string_view text) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (byte < 0x20) {
          out += "\\u00";
          out += kHex[byte >> 4];
          out += kHex[byte & 0xf];
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

}  // namespace tide
