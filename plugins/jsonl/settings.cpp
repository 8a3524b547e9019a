// SPDX-License-Identifier: Apache-2.0
#include "settings.hpp"

#include <charconv>

namespace tide::jsonl {
namespace {

mode_t mode_of(std::string_view text) {
  unsigned mode = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (error != std::errc() || end != text.data() + text.size() || mode > 0777 || (mode & 0600) != 0600)
    throw Error::fatal("mode '" + std::string(text) +
                       "' is no file's permissions: it is octal, such as 0640, and lets the owner read and write");
  return mode;
}

}  // namespace

Settings::Settings(const Config& config)
    : path(config.text("path") == "-" ? "" : config.text("path")),
      form(config.text("line") == "payload" ? Form::payload : Form::envelope),
      sync(config.text("fsync") != "never"),
      rotate_bytes(static_cast<std::uint64_t>(config.integer("rotate_bytes"))),
      rotate_age(config.integer("rotate_seconds")),
      keep(config.integer("keep")),
      mode(mode_of(config.text("mode"))) {
  if (path.empty()) {
    if (config.text("path") != "-") throw Error::fatal("path is empty: set it to a file, or to - for standard output");
    if (rotate_bytes != 0 || rotate_age.count() != 0 || keep != 0)
      throw Error::fatal("standard output can't be rotated: leave rotate_bytes, rotate_seconds and keep out");
  } else if (path.front() != '/' || path.back() == '/' || path.find('\0') != std::string::npos) {
    throw Error::fatal("path '" + path + "' is not the absolute path of a file");
  }
}

}  // namespace tide::jsonl
