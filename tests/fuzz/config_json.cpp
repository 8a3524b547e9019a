// A sink's configuration as it stands in the catalog: JSON.
#include "base/error.hpp"
#include "base/value.hpp"
#include "config_rules.hpp"
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = tide::fuzz::text_of(data, size);
  tide::Value value;
  try {
    value = tide::parse_json(text);
  } catch (const tide::ConfigError& error) {
    tide::fuzz::check(error, text);
    return 0;
  }
  tide::fuzz::check_prints(value);
  tide::fuzz::check_sink(tide::fuzz::pipeline_of(std::move(value)), text);
  return 0;
}
