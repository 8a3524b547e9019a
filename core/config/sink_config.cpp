#include "config/sink_config.hpp"

#include <simdjson.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "config/compile_template.hpp"
#include "config/debezium_fields.hpp"
#include "config/place.hpp"
#include "config/routes.hpp"

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
    auto& message = config.rendering.message;
    for (const auto& option : core_options()) {
      if (option.name == "routes") continue;  // read_routes() tells their problems
      const auto value = read(option);
      set(config.settings, value);
      set(config.rendering, option, value);
    }
    check_format_options(config.rendering.format);
    for (const auto& option : plugin_) {
      config.values.push_back(read(option));
      if (option.is_template()) message.fields.push_back({option.name, compile(option, config.values.back())});
    }
    if (const auto routes = written_.find("routes");
        routes != written_.end() && routes->second->get<std::nullptr_t>() == nullptr) {
      config.rendering.routes = read_routes(*routes->second, spec_, plugin_, env_, config.rendering, problems_);
    }
    add_alternatives(config.rendering, spec_.outbox, config.values);
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
        problem(value.line, name, unknown_key(name, option_names()));
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
    OptionValue result{option.name, option.type, true, "", 0, {}};
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
    if (option.writes()) check_place(option, value.line, expanded);
    return expanded;
  }

  // Whoever may set pipelines in the database must not reach the relay's other files thereby, nor through a link.
  void check_place(const Option& option, int line, const std::string& path) {
    if (!spec_.write_below) return;
    namespace fs = std::filesystem;
    std::error_code error;
    const auto folder = fs::weakly_canonical(*spec_.write_below, error) / "";
    const auto target = fs::path(path).is_absolute() && !error ? fs::weakly_canonical(path, error) : fs::path();
    if (!error && !spec_.write_below->empty() &&
        std::mismatch(folder.begin(), std::prev(folder.end()), target.begin(), target.end()).first ==
            std::prev(folder.end()))
      return;
    problem(
        line, option.name,
        "must be below '" + *spec_.write_below +
            "' ([catalog] data_dir), as the pipeline is set in the database; write there, or set the pipeline in the "
            "configuration file");
  }

  void check_utf8(const Option& option, int line, const std::string& text) {
    if (!simdjson::validate_utf8(text)) problem(line, option.name, "is not valid UTF-8");
  }

  // The template, if there is one.
  std::optional<Template> compile(const Option& option, const OptionValue& value) {
    if (!value.is_set || faulty_.count(option.name) != 0) return std::nullopt;
    const Value* source = source_of(option.name);
    const auto* raw = source == nullptr ? nullptr : source->get<std::string>();
    std::string fault;
    auto compiled = compile_template(option, value.string, spec_.name, raw == nullptr || *raw == value.string, fault);
    if (!compiled) problem(line_of(option.name), option.name, fault);
    return compiled;
  }

  // What was written for the option; null: nothing, its default holds.
  [[nodiscard]] const Value* source_of(const std::string& option) const {
    const auto written = written_.find(option);
    return written == written_.end() || written->second->get<std::nullptr_t>() != nullptr ? nullptr : written->second;
  }

  [[nodiscard]] int line_of(const std::string& option) const {
    const Value* source = source_of(option);
    return source == nullptr ? spec_.sink.line : source->line;
  }

  void set(Rendering& rendering, const Option& option, const OptionValue& value) {
    using Kind = Format::Kind;
    auto& kind = rendering.format.kind;
    if (value.name == "message_id") {
      // The default is the event's key itself, and costs nothing.
      if (value.string != option.default_value) {
        rendering.message.message_id = compile(option, value);
      }
    } else if (value.name == "format") {
      if (value.string == "cloudevents") kind = Kind::cloudevents_binary;
      if (value.string == "debezium") kind = Kind::debezium;
    } else if (value.name == "cloudevents_mode") {
      if (kind == Kind::cloudevents_binary && value.string == "structured") kind = Kind::cloudevents_structured;
    } else if (value.name == "cloudevents_type") {
      rendering.message.cloudevents_type = compile(option, value);
    } else if (value.name == "cloudevents_source") {
      rendering.message.cloudevents_source = compile(option, value);
    } else if (value.name == "debezium_fields" && value.is_set && faulty_.count(value.name) == 0) {
      std::string fault;
      rendering.format.debezium_fields = parse_debezium_fields(value.string, fault);
      if (!fault.empty()) problem(line_of(value.name), value.name, fault);
    }
  }

  // An option of another format than the one that is set is a mistake, and not one to pass over.
  void check_format_options(const Format& format) {
    using Kind = Format::Kind;
    const bool cloudevents = format.is_cloudevents();
    for (const auto& [option, of, is_used] : {std::tuple("cloudevents_mode", "cloudevents", cloudevents),
                                              {"cloudevents_type", "cloudevents", cloudevents},
                                              {"cloudevents_source", "cloudevents", cloudevents},
                                              {"debezium_fields", "debezium", format.kind == Kind::debezium}}) {
      if (is_used || source_of(option) == nullptr || faulty_.count("format") != 0) continue;
      problem(line_of(option), option, std::string("means something only with \"format\": \"") + of + "\"");
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
  if (!spec.fault.empty()) throw ConfigError({{spec.where, spec.fault}});
  const OptionTable none;
  return Validator(spec, none, env).sink_type();
}

SinkConfig validate(const PipelineSpec& spec, const OptionTable& plugin, const EnvPolicy& env) {
  return Validator(spec, plugin, env).run();
}

}  // namespace tide
