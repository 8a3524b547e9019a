#include "template/json_fields.hpp"

#include <simdjson.h>

namespace tide {

namespace ondemand = simdjson::ondemand;

namespace {

JsonFields::Found found(ondemand::json_type type) {
  switch (type) {
    case ondemand::json_type::boolean:
      return JsonFields::Found::boolean;
    case ondemand::json_type::number:
      return JsonFields::Found::number;
    case ondemand::json_type::string:
      return JsonFields::Found::string;
    default:
      return JsonFields::Found::nested;
  }
}

}  // namespace

struct JsonFields::Parser {
  enum class State { unread, ready, malformed };

  std::string_view text;
  State state = State::unread;
  std::string padded;  // the parser reads a little past the end
  std::string compact;
  ondemand::parser parser;
  ondemand::document document;

  // Puts the document at its beginning. False when it is no JSON.
  bool rewind() {
    // What simdjson has given up on it must not be asked again: it would follow a null pointer.
    if (state == State::ready && !document.is_alive()) state = State::malformed;
    if (state == State::ready) {
      document.rewind();
    } else if (state == State::unread) {
      padded.assign(text);
      padded.append(simdjson::SIMDJSON_PADDING, '\0');
      const simdjson::padded_string_view view(padded.data(), text.size(), padded.size());
      state = parser.iterate(view).get(document) ? State::malformed : State::ready;
    }
    return state == State::ready;
  }

  // False when malformed. Nested values are made compact.
  bool print(ondemand::value value, ondemand::json_type type, std::string_view& out) {
    if (type == ondemand::json_type::string) return !value.get_string().get(out);
    std::string_view raw;
    if (simdjson::to_json_string(value).get(raw)) return false;
    if (type != ondemand::json_type::object && type != ondemand::json_type::array) {
      out = raw;
      return true;
    }
    compact.resize(raw.size());
    std::size_t size = 0;
    if (simdjson::minify(raw.data(), raw.size(), compact.data(), size)) return false;
    out = std::string_view(compact).substr(0, size);
    return true;
  }
};

JsonFields::JsonFields() : parser_(std::make_unique<Parser>()) {}
JsonFields::~JsonFields() = default;
JsonFields::JsonFields(JsonFields&&) noexcept = default;
JsonFields& JsonFields::operator=(JsonFields&&) noexcept = default;

void JsonFields::reset(std::string_view json) {
  // One huge event must not hold its memory for good.
  constexpr std::size_t kKeep = std::size_t{4} << 20U;
  if (parser_->padded.capacity() > kKeep && json.size() < kKeep) parser_ = std::make_unique<Parser>();
  parser_->text = json;
  parser_->state = Parser::State::unread;
}

JsonFields::Found JsonFields::find(const std::vector<std::string>& path, std::string_view& value) {
  if (parser_->text.empty()) return Found::missing;
  if (!parser_->rewind()) return Found::malformed;

  ondemand::json_type type{};
  ondemand::object object;
  if (parser_->document.type().get(type)) return Found::malformed;
  if (type != ondemand::json_type::object) return Found::missing;
  if (parser_->document.get_object().get(object)) return Found::malformed;

  for (std::size_t i = 0;; ++i) {
    ondemand::value field;
    const auto error = object.find_field_unordered(path[i]).get(field);
    if (error == simdjson::NO_SUCH_FIELD) return Found::missing;
    if (error || field.type().get(type)) return Found::malformed;
    if (i + 1 < path.size()) {
      if (type != ondemand::json_type::object) return Found::missing;
      if (field.get_object().get(object)) return Found::malformed;
      continue;
    }
    if (type == ondemand::json_type::null) return Found::null;
    return parser_->print(field, type, value) ? found(type) : Found::malformed;
  }
}

bool JsonFields::each(const std::function<void(std::string_view, std::string_view)>& visit) {
  if (parser_->text.empty() || parser_->text == "{}") return true;
  if (!parser_->rewind()) return false;

  ondemand::json_type type{};
  ondemand::object object;
  if (parser_->document.type().get(type)) return false;
  if (type == ondemand::json_type::null) return true;
  if (type != ondemand::json_type::object || parser_->document.get_object().get(object)) return false;

  for (auto field : object) {
    std::string_view name;
    ondemand::value value;
    if (field.unescaped_key().get(name) || field.value().get(value) || value.type().get(type)) return false;
    if (type == ondemand::json_type::null) continue;
    std::string_view text;
    if (!parser_->print(value, type, text)) return false;
    visit(name, text);
  }
  return true;
}

}  // namespace tide
