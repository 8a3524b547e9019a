#include "conformance/live_config.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>

#include "config/config_file.hpp"

namespace tide::conformance {

PipelineSpec read_sink_config(const std::string& file) {
  PipelineSpec spec;
  if (std::filesystem::path(file).extension() == ".toml") {
    const auto config = load_config(file);
    if (config.pipelines.size() != 1) {
      throw ConfigError({{file, "has " + std::to_string(config.pipelines.size()) +
                                    " pipelines; a test needs a file with one, or a sink's configuration as JSON"}});
    }
    spec = config.pipelines.front();
  } else {
    std::ifstream in(file);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    if (!in.is_open()) throw ConfigError({{file, "can not be read"}});
    try {
      spec.sink = parse_json(text);
    } catch (const Error& e) {
      throw ConfigError({{file, e.what()}});
    }
  }
  spec.name = "plugins-test";
  spec.outbox = "plugins_test";
  spec.where = file;
  Problems problems;
  expand_env(spec.sink, EnvPolicy::any(), spec.where, problems);
  if (!problems.empty()) throw ConfigError(std::move(problems));
  return spec;
}

SinkConfig validated(const PipelineSpec& spec, const Plugin& plugin) {
  const auto type = sink_type_of(spec, EnvPolicy::any());
  if (!plugin.serves(type))
    throw ConfigError({{spec.where, "its sink_type is \"" + type + "\", which " + plugin.id + " does not serve"}});
  return validate(spec, plugin.options, EnvPolicy::any());
}

int redirect(Value& value, int port) {
  static const std::string address = R"((?:\[[^\]]+\]|[\w.-]+):\d+)";
  static const std::regex servers("(://(?:[^@/,]*@)?)[^/,?#]+|^" + address + "(?:, *" + address + ")*$");
  int found = 0;
  if (auto* text = std::get_if<std::string>(&value.data)) {
    if (std::regex_search(*text, servers)) {
      ++found;
      *text = std::regex_replace(*text, servers, "$01127.0.0.1:" + std::to_string(port));
    }
  } else if (auto* items = std::get_if<Array>(&value.data)) {
    for (auto& item : *items) found += redirect(item, port);
  } else if (auto* fields = std::get_if<Object>(&value.data)) {
    for (auto& [key, field] : *fields) found += redirect(field, port);
  }
  return found;
}

std::vector<OptionValue> made_up(const OptionTable& options) {
  std::vector<OptionValue> values;
  for (const auto& option : options) {
    auto value = default_value(option);
    if (option.required()) {
      value.is_set = true;
      value.integer = option.min_value;
      if (option.type == TIDE_TYPE_STRING)
        value.string = option.choices.empty() ? "127.0.0.1:9" : option.choices.front();
      if (option.type == TIDE_TYPE_JSON) value.string = "{}";
    }
    values.push_back(std::move(value));
  }
  return values;
}

}  // namespace tide::conformance
