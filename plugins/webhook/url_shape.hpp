// SPDX-License-Identifier: Apache-2.0
//
// What events may make of the url: its values fill places in the path and the query, and change nothing else about it.
// Immutable; any thread.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace tide::webhook {

class UrlShape {
 public:
  // The template's text, with TIDE_UNKNOWN for what varies. Throws a fatal Error.
  explicit UrlShape(std::string_view text);

  [[nodiscard]] const std::string& origin() const { return origin_; }  // "https://host:port"
  [[nodiscard]] bool varies() const { return varies_; }
  [[nodiscard]] bool tls() const { return tls_; }
  // Whether a rendered URL is it; where it varies, whether it has the same origin and as many parts.
  [[nodiscard]] bool takes(std::string_view url) const;

 private:
  static constexpr std::string_view kSeparators = "/?#&=;%@\\";
  using Counts = std::array<std::size_t, kSeparators.size()>;
  static Counts count(std::string_view url);

  std::string text_;
  std::string prefix_;  // of every rendered URL; with the user's name and password, if there are any
  std::string origin_;
  Counts counts_{};
  bool varies_ = false;
  bool tls_ = false;
};

// With everything encoded that must not stand in a URL.
std::string encoded(std::string_view url);

// Without user, password and query, which may be secrets.
std::string shown(std::string_view url);

}  // namespace tide::webhook
