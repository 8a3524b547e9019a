#include "config/sink_config.hpp"

#include <simdjson.h>

#include <map>
#include <optional>
#include <set>
#include <utility>

#include "config/place.hpp"

namespace tide {
namespace {

const char* expected(const Option& option) {
  switch (option.type) {
    case TIDE_TYPE_INT:
      return "an integer";
    case TIDE_TYPE_BOOL:
      return "a boolean";
    default:
      return "a string";
  }
}

class Validator {
 public:
  Validator(const PipelineSpec& spec, const OptionTable& plugin, const EnvPolicy& env)
      : spec_(spec), plugin_(plugin), env_(env) {}

  SinkConfig run() {
    if (const auto* object = spec_.sink.get<Object>()) {
      collect(*object, "");
    } else {
      problem(spec_.sink.line, "",
              std::string("the sink's configuration must be an object, not ") + spec_.sink.type_name());
      throw ConfigError(std::move(problems_));
    }
    SinkConfig config;
    for (const auto& option : core_options()) set(config.settings, read(option));
    for (const auto& option : plugin_) {
      config.values.push_back(read(option));
      if (option.is_template()) config.templates.push_back({option.name, compile(option, config.values.back())});
    }
    if (problems_.empty() && config.settings.retry_initial > config.settings.retry_max) {
      problem(spec_.sink.line, "retry.initial_ms",
              "must not be above retry.max_ms (" + std::to_string(config.settings.retry_max.count()) + ")");
    }
    if (!problems_.empty()) throw ConfigError(std::move(problems_));
    return config;
  }

  // The sink_type alone.
  std::string sink_type() {
    const Value* value = spec_.sink.find("sink_type");
    if (value != nullptr) written_.emplace("sink_type", value);
    auto type = read(*core_options().find("sink_type"));
    if (!problems_.empty()) throw ConfigError(std::move(problems_));
    return std::move(type.string);
  }

 private:
  void problem(int line, std::string_view key, std::string text) {
    faulty_.emplace(key);
    problems_.push_back({place(spec_.file, line, spec_.where, key), std::move(text)});
  }

  [[nodiscard]] bool is_option(std::string_view name) const {
    return core_options().find(name) != nullptr || plugin_.find(name) != nullptr;
  }

  [[nodiscard]] bool is_group(std::string_view name) const {
    return core_options().has_group(name) || plugin_.has_group(name);
  }

  // Files each option's value under its dotted name; what is no option is a problem.
  void collect(const Object& object, const std::string& prefix) {
    for (const auto& [key, value] : object) {
      const std::string name = prefix + key;
      if (is_option(name)) {
        if (!written_.emplace(name, &value).second) problem(value.line, name, "is there twice");
      } else if (!is_group(name)) {
        problem(value.line, name, "unknown key" + did_you_mean(name, option_names()));
      } else if (const auto* group = value.get<Object>()) {
        collect(*group, name + ".");
      } else if (value.get<std::nullptr_t>() == nullptr) {
        problem(value.line, name, std::string("must be an object, not ") + value.type_name());
      }
    }
  }

  [[nodiscard]] std::vector<std::string> option_names() const {
    std::vector<std::string> names;
    for (const auto& option : core_options()) names.push_back(option.name);
    for (const auto& option : plugin_) names.push_back(option.name);
    return names;
  }

  OptionValue read(const Option& option) {
    const auto found = written_.find(option.name);
    if (found == written_.end() || found->second->get<std::nullptr_t>() != nullptr) {
      if (option.required())
        problem(spec_.sink.line, option.name, std::string("is missing; it must be ") + expected(option));
      return default_value(option);
    }
    const Value& value = *found->second;
    OptionValue result{option.name, option.type, true, "", 0};
    const auto* integer = value.get<std::int64_t>();
    const auto* boolean = value.get<bool>();
    const auto* string = value.get<std::string>();
    if (option.type == TIDE_TYPE_JSON) {
      result.string = json_text(option, value);
    } else if (option.type == TIDE_TYPE_INT && integer != nullptr) {
      result.integer = *integer;
      if (const auto fault = option.fault(*integer)) problem(value.line, option.name, *fault);
    } else if (option.type == TIDE_TYPE_BOOL && boolean != nullptr) {
      result.integer = *boolean ? 1 : 0;
    } else if (option.type == TIDE_TYPE_STRING && string != nullptr) {
      result.string = text(option, value, *string);
    } else {
      problem(value.line, option.name, std::string("must be ") + expected(option) + ", not " + value.type_name());
    }
    return result;
  }

  std::string json_text(const Option& option, Value value) {
    expand_env(value, env_, place(spec_.file, value.line, spec_.where, option.name), problems_);
    std::string json = to_json(value);
    check_utf8(option, value.line, json);
    return json;
  }

  std::string text(const Option& option, const Value& value, const std::string& raw) {
    const std::size_t before = problems_.size();
    std::string expanded = expand_env(raw, env_, place(spec_.file, value.line, spec_.where, option.name), problems_);
    if (problems_.size() != before) {
      faulty_.insert(option.name);
      return {};
    }
    check_utf8(option, value.line, expanded);
    if (option.required() && expanded.empty()) problem(value.line, option.name, "must not be empty");
    // Whoever reads it as a C string would see another value than was checked.
    if (expanded.find('\0') != std::string::npos) problem(value.line, option.name, "holds a NUL character");
    if (const auto fault = option.fault(std::string_view(expanded))) problem(value.line, option.name, *fault);
    return expanded;
  }

  void check_utf8(const Option& option, int line, const std::string& text) {
    if (!simdjson::validate_utf8(text)) problem(line, option.name, "is not valid UTF-8");
  }

  // The template, if there is one; value.string becomes its shape.
  std::optional<Template> compile(const Option& option, OptionValue& value) {
    if (!value.is_set || faulty_.count(option.name) != 0) return std::nullopt;
    const auto written = written_.find(option.name);
    const Value* source = written == written_.end() ? nullptr : written->second;  // null: the default
    try {
      Template compiled(value.string);
      value.string = compiled.shape(spec_.outbox);
      return compiled;
    } catch (const TemplateError& error) {
      // The message quotes the template: only what was written there, never what came out of a variable.
      const bool quotable = !option.secret() && (source == nullptr || *source->get<std::string>() == value.string);
      problem(source == nullptr ? spec_.sink.line : source->line, option.name,
              quotable ? std::string(error.what())
                       : "the template is wrong at column " + std::to_string(error.column()) + " of its expanded text");
      return std::nullopt;
    }
  }

  static void set(SinkSettings& settings, const OptionValue& value) {
    if (value.name == "sink_type") {
      settings.sink_type = value.string;
    } else if (value.name == "batch_size") {
      settings.batch_size = static_cast<int>(value.integer);
    } else if (value.name == "start") {
      settings.start = value.string == "latest" ? Start::latest : Start::earliest;
    } else if (value.name == "on_reject") {
      settings.on_reject = value.string == "stop" ? OnReject::stop : OnReject::dead_letter;
    } else if (value.name == "retry.initial_ms") {
      settings.retry_initial = std::chrono::milliseconds(value.integer);
    } else if (value.name == "retry.max_ms") {
      settings.retry_max = std::chrono::milliseconds(value.integer);
    }
  }

  const PipelineSpec& spec_;
  const OptionTable& plugin_;
  const EnvPolicy& env_;
  std::map<std::string, const Value*, std::less<>> written_;
  std::set<std::string, std::less<>> faulty_;  // keys that have a problem: no use in looking further into their values
  Problems problems_;
};

}  // namespace

std::string sink_type_of(const PipelineSpec& spec, const EnvPolicy& env) {
  const OptionTable none;
  return Validator(spec, none, env).sink_type();
}

SinkConfig validate(const PipelineSpec& spec, const OptionTable& plugin, const EnvPolicy& env) {
  return Validator(spec, plugin, env).run();
}

}  // namespace tide
