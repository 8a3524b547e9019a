// SPDX-License-Identifier: Apache-2.0
//
// JetStream's API speaks JSON: the few helpers that its callers share. Any thread.
#pragma once

#include <simdjson.h>

#include <string>
#include <string_view>

namespace tide::nats {

// Quoted, for names and subjects: they hold no control characters.
inline std::string json_string(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

template <class T>
T get_or(const simdjson::dom::element& object, std::string_view key, T otherwise) {
  T value;
  return object[key].get(value) == simdjson::SUCCESS ? value : otherwise;
}

}  // namespace tide::nats
