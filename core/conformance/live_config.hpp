// The sink configuration that a plugin is tried with. Plain values; any thread.
#pragma once

#include <string>

#include "config/sink_config.hpp"
#include "sink/plugin.hpp"

namespace tide::conformance {

// From FILE.json, the sink's object, or from FILE.toml, a relay's configuration file that has one pipeline. Variables
// are expanded. Throws Error or ConfigError.
PipelineSpec read_sink_config(const std::string& file);

// Checked against the plugin's table. Throws ConfigError.
SinkConfig validated(const PipelineSpec& spec, const Plugin& plugin);

// The same with the servers of every URL and of every list of host:port replaced by that port of this machine; how many
// such values there were.
int redirect(Value& value, int port);

// Values for a plugin of which nothing is known but its table: defaults, and for what is required something that fits.
std::vector<OptionValue> made_up(const OptionTable& options);

}  // namespace tide::conformance
