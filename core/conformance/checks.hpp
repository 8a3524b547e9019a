// The checks of the conformance kit. Each runs in a process of its own, which the plugin may hang or crash.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "conformance/live_config.hpp"

namespace tide::conformance {

// What a check may need.
struct Subject {
  std::string file;
  std::string config_file;  // empty: none was given
};

struct Check {
  const char* name;
  const char* what;     // one line, for people
  bool needs_config;    // publishes for real
  bool needed_by_rest;  // what comes after it makes no sense when it fails
  void (*run)(const Subject& subject);
};

std::span<const Check> all_checks();

}  // namespace tide::conformance
