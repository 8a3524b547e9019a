// The relay's configuration file: TOML.
#include "base/error.hpp"
#include "config/config_file.hpp"
#include "config_rules.hpp"
#include "fuzz.hpp"

using tide::fuzz::require;

namespace {

void check(const tide::FileConfig& config) {
  require(config.postgres.connections >= 1 && config.postgres.connections <= 64 &&
              config.postgres.deadline_ms >= 1000 && config.postgres.deadline_ms <= 600'000 &&
              config.relay.buffer_mb >= 16 && config.relay.buffer_mb <= 65536,
          "a number is in its range", {});
  require(config.log.format == "text" || config.log.format == "json", "a choice is one of its list", config.log.format);
  for (const auto& pipeline : config.pipelines) {
    require(!pipeline.name.empty() && !pipeline.outbox.empty() && !pipeline.group.empty(),
            "a pipeline has a name, an outbox and a group", pipeline.name);
    require(pipeline.from_file && pipeline.file == "relay.toml", "a pipeline knows its file", pipeline.name);
    require(pipeline.sink.get<tide::Object>() != nullptr && pipeline.sink.line > 0, "a pipeline has a sink's table",
            pipeline.name);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = tide::fuzz::text_of(data, size);
  tide::FileConfig config;
  try {
    config = tide::parse_config(text, "relay.toml", tide::fuzz::environment());
  } catch (const tide::ConfigError& error) {
    tide::fuzz::check(error, text);
    for (const auto& problem : error.problems())
      require(problem.where.starts_with("relay.toml:"), "a problem names its file and line",
              problem.where + ": " + problem.text);
    return 0;
  }
  check(config);
  for (const auto& pipeline : config.pipelines) {
    tide::fuzz::check_prints(pipeline.sink);
    tide::fuzz::check_sink(pipeline, text);
  }
  return 0;
}
