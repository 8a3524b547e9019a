// SPDX-License-Identifier: Apache-2.0
//
// JetStream's API speaks JSON: the few helpers that its callers share. Any thread.
#pragma once

#include <simdjson.h>

#include <string>
#include <string_view>

namespace tide::nats {

// What stands between the quotes of a string.
inline std::string json_escaped(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20) {
      (escaped += "\\u00").append({digits[byte >> 4], digits[byte & 15]});
      continue;
    }
    if (c == '"' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

inline std::string json_string(std::string_view text) {
  return '"' + json_escaped(text) + '"';
}

template <class T>
T get_or(const simdjson::dom::element& object, std::string_view key, T otherwise) {
  T value;
  return object[key].get(value) == simdjson::SUCCESS ? value : otherwise;
}

}  // namespace tide::nats
