// Expands ${env:NAME} and $<env:NAME> in configuration text. Any thread, as long as nobody changes the environment.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/value.hpp"

namespace tide {

// Which variables a configuration may read, and where they are looked up.
class EnvPolicy {
 public:
  using Lookup = std::function<std::optional<std::string>(const std::string& name)>;

  static std::optional<std::string> process_environment(const std::string& name);

  // For the configuration file: whoever can write it already runs the relay.
  static EnvPolicy any(Lookup lookup = process_environment);

  // For the catalog: only names that match one of the shell patterns ([catalog] env_allow).
  static EnvPolicy only(std::vector<std::string> patterns, Lookup lookup = process_environment);

  [[nodiscard]] bool allows(const std::string& name) const;
  [[nodiscard]] std::optional<std::string> find(const std::string& name) const { return lookup_(name); }

 private:
  EnvPolicy(std::optional<std::vector<std::string>> patterns, Lookup lookup);

  std::optional<std::vector<std::string>> patterns_;
  Lookup lookup_;
};

// The text with its references replaced, once: what a variable holds is not expanded again. $${env:NAME} is literal,
// and so is any other $. What can't be expanded is added to problems, at `where`; no problem ever quotes the text,
// which may be a secret.
std::string expand_env(std::string_view text, const EnvPolicy& policy, const std::string& where, Problems& problems);

// Every string inside the value, at any depth; keys stay as they are.
void expand_env(Value& value, const EnvPolicy& policy, const std::string& where, Problems& problems);

}  // namespace tide
