// SPDX-License-Identifier: Apache-2.0
//
// The Lua script that adds one event to a stream, once, and in its turn. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace tide::redis {

// KEYS  1 the stream; 2 a sorted set of the ids that it holds of this pipeline, by the time at which they were added;
//       3 whose turn it is.
// ARGV  1 the turn at which this event comes, empty: whatever turn it is; 2 the turn after it; 3 its id; 4 how many ids
//       are remembered; 5 for how many seconds; 6 MAXLEN's operator, empty: no limit; 7 MAXLEN's number;
//       8… the entry's fields.
// Returns the entry's ID, nil where the stream had the event already, or an error, and has then added nothing.
extern const std::string_view add_script;

// Its SHA-1, in hexadecimal, by which EVALSHA calls it.
const std::string& add_script_sha();

// Codes of its own errors.
inline constexpr std::string_view out_of_turn = "TURN";
inline constexpr std::string_view ids_unusable = "IDS";

}  // namespace tide::redis
