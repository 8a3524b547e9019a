// SPDX-License-Identifier: Apache-2.0
//
// JetStream's API speaks JSON: the few helpers that its callers share. Any thread.
#pragma once

#include <simdjson.h>

#include <string>
#include <string_view>

#include "../envelope/envelope.hpp"

namespace tide::nats {

inline std::string json_string(std::string_view text) {
  std::string quoted;
  envelope::append_quoted(quoted, text);
  return quoted;
}

// What stands between the quotes of that.
inline std::string json_escaped(std::string_view text) {
  const auto quoted = json_string(text);
  return quoted.substr(1, quoted.size() - 2);
}

template <class T>
T get_or(const simdjson::dom::element& object, std::string_view key, T otherwise) {
  T value;
  return object[key].get(value) == simdjson::SUCCESS ? value : otherwise;
}

}  // namespace tide::nats
