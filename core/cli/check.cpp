#include <algorithm>
#include <iostream>

#include "base/log.hpp"
#include "cli/commands.hpp"
#include "config/sink_config.hpp"
#include "relay/catalog.hpp"
#include "schema/schema.hpp"
#include "sink/sink.hpp"

namespace tide::cli {

namespace {

// Prints what is wrong with a pipeline, or that nothing is. Returns the exit code.
int check_pipeline(const PipelineSpec& spec, const PluginLoader& plugins, const EnvPolicy& env, bool connect) {
  try {
    const auto plugin = plugins.find(sink_type_of(spec, env));
    const auto config = validate(spec, plugin->options, env);
    if (connect) Sink(plugin, spec.name, config.values, 0, std::chrono::seconds(5));
    std::cout << spec.where << ": ok" << (spec.enabled ? "" : " (disabled)") << '\n';
    return kDone;
  } catch (const ConfigError& e) {
    std::cerr << e.what() << '\n';
    return kUsage;
  } catch (const SinkDown& e) {
    std::cerr << spec.where << ": " << e.what() << '\n';
    return kFailed;
  } catch (const SinkFatal& e) {
    std::cerr << spec.where << ": " << e.what() << '\n';
    return kFailed;
  } catch (const Error& e) {
    std::cerr << spec.where << ": " << e.what() << '\n';
    return kUsage;
  }
}

constexpr const char* kNothingConfigured =
    " does not name a PostgreSQL yet. Write there, in place of what is in capitals:\n"
    "\n"
    "  [postgres]\n"
    "  url = \"postgresql://USER@HOST/DATABASE\"\n"
    "\n"
    "That is enough for pipelines that are set with tide.relay_set_outbox. One that is set in the file looks like\n"
    "\n"
    "  [pipelines.orders-to-nats]\n"
    "  outbox = \"orders\"\n"
    "  group = \"nats-relay\"\n"
    "  [pipelines.orders-to-nats.sink]\n"
    "  sink_type = \"nats\"\n"
    "  url = \"nats://HOST:4222\"\n"
    "  subject = \"events.{stream_table}.{op}\"\n"
    "\n"
    "Then: tide-relay check --connect\n";

}  // namespace

int check(const Options& options) {
  const auto config = load(options);
  if (options.postgres_url.empty() && config.postgres.url.empty() && config.pipelines.empty()) {
    std::cerr << (options.config_file.empty() ? kDefaultConfig : options.config_file) << kNothingConfigured;
    return kUsage;
  }
  set_up_log("error", "text");
  const PluginLoader plugins(plugin_folders(config));
  int worst = kDone;
  for (const auto& spec : config.pipelines) {
    worst = std::max(worst, check_pipeline(spec, plugins, EnvPolicy::any(), options.connect));
  }
  if (options.connect) {
    pg::Session session({postgres_url(options, config), "tide-relay check"});
    session.require_writes();
    check_schema(session, schema_source());
    std::cout << "PostgreSQL: ok, schema tide has version " << schema_source().version() << '\n';
    if (config.catalog.enabled) {
      for (const auto& spec : read_catalog(session, config.catalog.data_dir)) {
        const auto env = EnvPolicy::only(config.catalog.env_allow);
        worst = std::max(worst, check_pipeline(spec, plugins, env, true));
      }
    }
  } else if (config.pipelines.empty()) {
    std::cout << "no pipeline is configured in a file; --connect also checks those in the database\n";
  }
  return worst;
}

}  // namespace tide::cli
