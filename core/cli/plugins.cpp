#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "base/log.hpp"
#include "cli/commands.hpp"
#include "conformance/kit.hpp"
#include "sink/plugin.hpp"

namespace tide::cli {

namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : "|") + word;
  return text;
}

// Anybody may look at plugins; the service's configuration, only those who may see its secrets.
FileConfig load_readable(const Options& options) {
  if (options.config_file.empty() && ::access(kDefaultConfig, R_OK) != 0) return {};
  return load(options);
}

}  // namespace

int list_plugins(const Options& options) {
  set_up_log("warn", "text");
  const PluginLoader loader(plugin_folders(load_readable(options)));
  Problems problems;
  const auto plugins = loader.all(problems);
  for (const auto& p : plugins) {
    std::cout << p->id << ' ' << p->version << "  sink_type " << joined(p->sink_types) << "  " << p->description
              << "\n  " << p->file.string() << '\n';
  }
  for (const auto& problem : problems) std::cerr << problem.text << '\n';
  if (plugins.empty()) {
    std::cerr << "no plugin was found in";
    for (const auto& folder : loader.folders()) std::cerr << ' ' << folder.string();
    std::cerr << "; install a sink's package, or name its folder in TIDE_RELAY_PLUGIN_PATH\n";
  }
  return plugins.empty() || !problems.empty() ? kFailed : kDone;
}

int plugin_info(const Options& options) {
  set_up_log("warn", "text");
  const PluginLoader loader(plugin_folders(load_readable(options)));
  std::shared_ptr<const Plugin> plugin;
  Problems problems;
  for (const auto& p : loader.all(problems)) {
    if (!plugin && (p->id == options.plugin || p->serves(options.plugin))) plugin = p;
  }
  if (!plugin) plugin = loader.find(options.plugin);  // which tells what there is instead
  std::cout << plugin->id << ' ' << plugin->version << ": " << plugin->description << '\n'
            << plugin->file.string() << "\n\n"
            << reference_table(plugin->options, joined(plugin->sink_types));
  return kDone;
}

int test_plugin(const Options& options) {
  set_up_log("error", "text");
  const conformance::Subject subject{options.plugin, options.sink_config};
  if (!options.check.empty()) conformance::run_check(subject, options.check);
  if (!std::filesystem::is_regular_file(options.plugin)) throw ConfigError({{options.plugin, "there is no such file"}});
  if (!options.sink_config.empty()) conformance::read_sink_config(options.sink_config);  // or it throws
  return conformance::test_plugin(subject) ? kDone : kFailed;
}

}  // namespace tide::cli
