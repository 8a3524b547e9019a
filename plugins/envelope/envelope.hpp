// SPDX-License-Identifier: Apache-2.0
//
// An event with all that is known of it, as one JSON object without a line end, and the key of such a one. Sinks
// compile it in. Any thread.
#pragma once

#include <string>
#include <string_view>

#include "tide/sink.hpp"

namespace tide::envelope {

// {"key":…,"op":…,"outbox":…,"stream_table":…,"id":…,"created_at":…,"headers":{…},"payload":…}
void append(std::string& out, const tide_message& event);

// Adds JSON without its line ends.
void append_json(std::string& out, std::string_view json);

// Adds the text as a JSON string.
void append_quoted(std::string& out, std::string_view text);

// Whether a line, with its end, holds the whole of an envelope rather than the beginning of one.
bool is_whole(std::string_view line);

// The key as it stands in an envelope, with its quotes; empty for any other text.
std::string_view quoted_key(std::string_view text);

}  // namespace tide::envelope
