// Makes a pipeline's sink configuration ready to run: variables expanded, checked against the options tables, templates
// compiled. Pure functions (but for the environment); any thread.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "config/env.hpp"
#include "config/pipeline_spec.hpp"
#include "sink/options.hpp"
#include "template/renderer.hpp"

namespace tide {

enum class Start { earliest, latest };
enum class OnReject { dead_letter, stop };

// The core's own options.
struct SinkSettings {
  std::string sink_type;
  int batch_size = 0;
  Start start = Start::earliest;
  OnReject on_reject = OnReject::dead_letter;
  std::chrono::milliseconds retry_initial{};
  std::chrono::milliseconds retry_max{};
};

struct SinkConfig {
  SinkSettings settings;
  std::vector<OptionValue> values;  // every option of the plugin's table, in its order
  Rendering rendering;              // for the Renderer
};

// The sink_type, with variables expanded: it tells which plugin, and so which table, validate() needs. Throws what is
// wrong with a configuration that can't be read.
std::string sink_type_of(const PipelineSpec& spec, const EnvPolicy& env);

// Both throw ConfigError; validate() tells every problem at once. No error holds the value of a string.
SinkConfig validate(const PipelineSpec& spec, const OptionTable& plugin, const EnvPolicy& env);

}  // namespace tide
