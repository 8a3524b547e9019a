#include "config/env.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace tide {
namespace {

bool is_name(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return !text.empty() && letter(text[0]) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return letter(c) || digit(c); });
}

bool opens(std::string_view text, std::size_t at) {
  return at + 1 < text.size() && text[at] == '$' && (text[at + 1] == '{' || text[at + 1] == '<');
}

}  // namespace

std::optional<std::string> EnvPolicy::process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

EnvPolicy EnvPolicy::any(Lookup lookup) {
  return {std::nullopt, std::move(lookup)};
}

EnvPolicy EnvPolicy::only(std::vector<std::string> patterns, Lookup lookup) {
  return {std::move(patterns), std::move(lookup)};
}

EnvPolicy::EnvPolicy(std::optional<std::vector<std::string>> patterns, Lookup lookup)
    : patterns_(std::move(patterns)), lookup_(std::move(lookup)) {}

bool EnvPolicy::allows(const std::string& name) const {
  return !patterns_ || std::any_of(patterns_->begin(), patterns_->end(), [&](const std::string& pattern) {
    return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
  });
}

std::string expand_env(std::string_view text, const EnvPolicy& policy, const std::string& where, Problems& problems) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '$' && opens(text, i + 1)) {  // $${ is a literal ${
      out += text.substr(i + 1, 2);
      i += 2;
      continue;
    }
    if (!opens(text, i)) {
      out += text[i];
      continue;
    }
    const char open = text[i + 1];
    const std::string at = " at byte " + std::to_string(i + 1);
    const std::size_t close = text.find(open == '{' ? '}' : '>', i + 2);
    if (close == std::string_view::npos) {
      problems.push_back({where, std::string("the '$") + open + "'" + at +
                                     " is never closed; write ${env:NAME}, or $$" + open + " for a literal $" + open});
      return out;
    }
    const std::string_view inner = text.substr(i + 2, close - i - 2);
    i = close;
    if (inner.substr(0, 4) != "env:" || !is_name(inner.substr(4))) {
      problems.push_back({where, std::string("the '$") + open + "'" + at +
                                     " is no reference to a variable; write ${env:NAME}, or $$" + open +
                                     " for a literal $" + open});
      continue;
    }
    const std::string name(inner.substr(4));
    if (!policy.allows(name)) {
      problems.push_back(
          {where, "the environment variable " + printable(name) +
                      " is not open to pipelines from the database; to allow it, add it to env_allow in the "
                      "[catalog] section of the relay's configuration file"});
    } else if (const auto value = policy.find(name)) {
      out += *value;
    } else {
      problems.push_back({where, "the environment variable " + printable(name) + " is not set"});
    }
  }
  return out;
}

void expand_env(Value& value, const EnvPolicy& policy, const std::string& where, Problems& problems) {
  if (auto* string = std::get_if<std::string>(&value.data)) {
    *string = expand_env(*string, policy, where, problems);
  } else if (auto* array = std::get_if<Array>(&value.data)) {
    for (auto& item : *array) expand_env(item, policy, where, problems);
  } else if (auto* object = std::get_if<Object>(&value.data)) {
    for (auto& field : *object) expand_env(field.second, policy, where, problems);
  }
}

}  // namespace tide
