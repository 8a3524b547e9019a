// Reads the relay's configuration file (TOML). Pure functions (but for the file and the environment); any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/env.hpp"
#include "config/pipeline_spec.hpp"

namespace tide {

struct PostgresSection {
  bool operator==(const PostgresSection&) const = default;
  std::string url;           // empty: not in the file
  int connections = 8;       // sessions that read outboxes; a relay has two more
  int deadline_ms = 10'000;  // the longest that a statement may take before the session is given up
};

struct RelaySection {
  bool operator==(const RelaySection&) const = default;
  int buffer_mb = 256;  // MiB of events that all pipelines may hold together
};

struct CatalogSection {
  bool enabled = true;  // run the pipelines of tide.relay_set_outbox too
  std::vector<std::string> env_allow = {"NATS_*", "TIDE_*"};
  std::string data_dir = "/var/lib/tide-relay";
};

struct PluginsSection {
  bool operator==(const PluginsSection&) const = default;
  std::vector<std::string> path;
};

struct LogSection {
  std::string level = "info";   // debug, info, warn or error
  std::string format = "text";  // text or json
};

struct FileConfig {
  PostgresSection postgres;
  RelaySection relay;
  CatalogSection catalog;
  PluginsSection plugins;
  LogSection log;
  std::vector<PipelineSpec> pipelines;  // in the order written; disabled ones too
};

// All throw ConfigError, which tells every problem with its file and line. ${env:NAME} is expanded in every string but
// those of the sink tables, whose turn comes in validate() of sink_config.hpp.
FileConfig load_config(const std::string& path, const EnvPolicy& env = EnvPolicy::any());
// Several files that make one configuration. Nothing may be set by two of them.
FileConfig load_config(const std::vector<std::string>& paths, const EnvPolicy& env = EnvPolicy::any());
FileConfig parse_config(std::string_view text, const std::string& file, const EnvPolicy& env = EnvPolicy::any());

}  // namespace tide
