// SPDX-License-Identifier: Apache-2.0
//
// The sink's options and what they come to. Any thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "tide/sink.hpp"

namespace tide::jsonl {

inline constexpr tide_option option_table[] = {
    string_option("path", "File to append to, as an absolute path; `-` is standard output",
                  TIDE_OPTION_REQUIRED | TIDE_OPTION_WRITES),
    string_option("line",
                  "What a line holds: the event with all that is known of it (`envelope`), or its `payload` alone", 0,
                  "envelope", "envelope|payload"),
    string_option("fsync", "When lines are synced to disk: before each acknowledgement (`batch`), or `never`", 0,
                  "batch", "batch|never"),
    int_option("rotate_bytes", "Size at which the file is put aside and a new one begun; 0: any", "0", 0, 1LL << 40),
    int_option("rotate_seconds", "Age at which the file is put aside and a new one begun; 0: any", "0", 0, 1LL << 32),
    int_option("keep", "How many of the files that were put aside are kept; 0: all", "0", 0, 1'000'000),
    string_option("mode", "Permissions of files that are made, in octal", 0, "0640"),
};

enum class Form { envelope, payload };

struct Settings {
  explicit Settings(const Config& config);  // throws a fatal Error

  std::string path;  // empty: standard output
  Form form;
  bool sync;
  std::uint64_t rotate_bytes;
  std::chrono::seconds rotate_age;
  std::int64_t keep;
  mode_t mode;
};

}  // namespace tide::jsonl
