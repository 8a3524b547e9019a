// SPDX-License-Identifier: Apache-2.0
//
// What events may make of the option `stream`: their values fill places in the name, and add no part to it.
// Immutable; any thread.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace tide::redis {

class StreamShape {
 public:
  // The template's text, with TIDE_UNKNOWN for what varies.
  explicit StreamShape(std::string_view text);

  [[nodiscard]] bool varies() const { return prefix_.size() != text_.size(); }
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] bool takes(std::string_view stream) const;

 private:
  static constexpr std::string_view kSeparators = ":{}";
  using Counts = std::array<std::size_t, kSeparators.size()>;
  static Counts count(std::string_view text);

  std::string text_;
  std::string prefix_;  // before what varies
  std::string suffix_;  // behind it
  Counts counts_;
};

// A key beside the stream, in the same slot of a cluster.
std::string key_beside(std::string_view stream, std::string_view pipeline, std::string_view what);

}  // namespace tide::redis
