// SPDX-License-Identifier: Apache-2.0
//
// An event as one line, and the key that such a line carries. Any thread.
#pragma once

#include <string>
#include <string_view>

#include "tide/sink.hpp"

namespace tide::jsonl {

enum class Form {
  envelope,  // {"key":…,"op":…,…,"payload":…}
  payload,   // the payload alone
};

// Adds the line, with its end.
void append_line(std::string& out, const tide_message& event, Form form);

// Adds the text as a JSON string.
void append_quoted(std::string& out, std::string_view text);

// The key as it is quoted in an envelope's line; empty for any other line.
std::string_view quoted_key(std::string_view line);

}  // namespace tide::jsonl
