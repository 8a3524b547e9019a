// What must hold of every configuration, wherever it comes from, and of every error about one. One thread.
#pragma once

#include <simdjson.h>
#include <tide/sink.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "config/sink_config.hpp"
#include "fuzz.hpp"

namespace tide::fuzz {

inline constexpr std::string_view kSecret = "hunter2";

// An option of each kind.
inline const OptionTable& sink_options() {
  static const tide_option kRows[] = {
      {"url", TIDE_TYPE_STRING, TIDE_OPTION_REQUIRED, nullptr, "URLs", 0, 0, nullptr},
      {"subject", TIDE_TYPE_STRING, TIDE_OPTION_REQUIRED | TIDE_OPTION_TEMPLATE, nullptr, "Subject", 0, 0, nullptr},
      {"stream", TIDE_TYPE_STRING, 0, nullptr, "Stream", 0, 0, nullptr},
      {"password", TIDE_TYPE_STRING, TIDE_OPTION_SECRET, nullptr, "Password", 0, 0, nullptr},
      {"pin", TIDE_TYPE_INT, TIDE_OPTION_SECRET, nullptr, "Pin", 1, 9, nullptr},
      {"tls.enabled", TIDE_TYPE_BOOL, 0, "false", "TLS", 0, 0, nullptr},
      {"tls.mode", TIDE_TYPE_STRING, 0, "strict", "Mode", 0, 0, "strict|lax"},
      {"reply", TIDE_TYPE_STRING, TIDE_OPTION_TEMPLATE, nullptr, "Reply", 0, 0, nullptr},
      {"extra", TIDE_TYPE_JSON, 0, nullptr, "Extra", 0, 0, nullptr},
  };
  static const OptionTable kTable = copy_options(kRows, std::size(kRows), sizeof(tide_option));
  return kTable;
}

// What variables hold is nobody's business but the sink's.
inline const EnvPolicy& environment() {
  static const EnvPolicy kEnv = EnvPolicy::any([](const std::string& name) -> std::optional<std::string> {
    static const std::map<std::string, std::string> kVariables = {
        {"URL", "nats://hunter2@h:4222"}, {"SUBJECT", "events.{op}"}, {"SECRET", "hunter2"}, {"BAD", "{hunter2"},
        {"UNKNOWN", "{hunter2}"},         {"LATIN1", "hunter2\xe9"},  {"EMPTY", ""}};
    const auto found = kVariables.find(name);
    return found == kVariables.end() ? std::nullopt : std::optional(found->second);
  });
  return kEnv;
}

inline PipelineSpec pipeline_of(Value sink) {
  PipelineSpec spec;
  spec.name = "p";
  spec.outbox = "orders";
  spec.group = "g";
  spec.where = "pipeline 'p'";
  spec.sink = std::move(sink);
  return spec;
}

inline void check_text(std::string_view text) {
  require(simdjson::validate_utf8(text.data(), text.size()), "what people read is UTF-8", text);
  require(std::none_of(text.begin(), text.end(), is_control), "what people read has no control characters", text);
}

// input: what the configuration was made from.
inline void check(const ConfigError& error, std::string_view input) {
  require(!error.problems().empty(), "an error tells a problem", error.what());
  for (const auto& [where, text] : error.problems()) {
    require(!text.empty(), "a problem is in words", where);
    check_text(where);
    check_text(text);
    require(where.size() + text.size() < 2000, "a problem is short", text);
    require(input.find(kSecret) != std::string_view::npos || (where + text).find(kSecret) == std::string::npos,
            "no error shows what a variable holds", text);
  }
}

// The key that each problem is about stands there, unless it is about the whole, or about the whole of a route.
inline void check_names_key(const ConfigError& error, std::string_view owner) {
  for (const auto& [where, text] : error.problems()) {
    require(where.find(owner) != std::string::npos, "a problem names its pipeline", where + ": " + text);
    require(where.find("key '") != std::string::npos || where.find("routes[") != std::string::npos ||
                text.starts_with("unknown key ''") || text.starts_with("the sink's configuration must be"),
            "a problem names its key", where + ": " + text);
  }
}

inline bool same(const Value& a, const Value& b) {
  if (a.data.index() != b.data.index()) return false;
  if (const auto* array = a.get<Array>()) {
    return std::equal(array->begin(), array->end(), b.get<Array>()->begin(), b.get<Array>()->end(), same);
  }
  if (const auto* object = a.get<Object>()) {
    return std::equal(object->begin(), object->end(), b.get<Object>()->begin(), b.get<Object>()->end(),
                      [](const auto& x, const auto& y) { return x.first == y.first && same(x.second, y.second); });
  }
  if (const auto* number = a.get<double>()) return *number == *b.get<double>();
  if (const auto* string = a.get<std::string>()) return *string == *b.get<std::string>();
  if (const auto* integer = a.get<std::int64_t>()) return *integer == *b.get<std::int64_t>();
  if (const auto* boolean = a.get<bool>()) return *boolean == *b.get<bool>();
  return true;
}

inline void check_prints(const Value& value) {
  const auto printed = to_json(value);
  const auto again = parse_json(printed);
  require(same(value, again), "what is printed is read as the same", printed);
  require(to_json(again) == printed, "what is read is printed as the same", printed);
}

inline void check(const SinkConfig& config) {
  const auto& settings = config.settings;
  require(!settings.sink_type.empty(), "a sink has a type", {});
  require(settings.batch_size >= 1 && settings.batch_size <= 10000, "batch_size is in its range", {});
  require(settings.retry_initial.count() >= 1 && settings.retry_initial <= settings.retry_max &&
              settings.retry_max.count() <= 3600000,
          "the waits are in their ranges", {});
  require(config.values.size() == sink_options().size(), "each option has its value", {});
  auto option = sink_options().begin();
  for (const auto& value : config.values) {
    require(value.name == option->name && value.type == option->type, "values are in the table's order", value.name);
    require(value.string.find('\0') == std::string::npos, "a sink can read its values as C strings", value.name);
    require(simdjson::validate_utf8(value.string), "a value is UTF-8", value.name);
    require(!option->required() || (value.is_set && !value.string.empty()), "what is required is there", value.name);
    require(!value.is_set || !option->fault(value.integer).has_value() || value.type != TIDE_TYPE_INT,
            "a number is in its range", value.name);
    require(!value.is_set || !option->fault(std::string_view(value.string)).has_value(), "a choice is one of its list",
            value.name);
    if (value.type == TIDE_TYPE_JSON && value.is_set) check_prints(parse_json(value.string));
    ++option;
  }
}

inline void check_sink(const PipelineSpec& spec, std::string_view input) {
  try {
    check(validate(spec, sink_options(), environment()));
  } catch (const ConfigError& error) {
    check(error, input);
    check_names_key(error, spec.where);
  }
}

}  // namespace tide::fuzz
