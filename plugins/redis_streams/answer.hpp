// SPDX-License-Identifier: Apache-2.0
//
// What an error of Redis means for an event or a connection, and what people can do about it. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tide::redis {

// TIDE_RETRY, TIDE_REJECTED, TIDE_FATAL, or TIDE_RECONNECT where another server is to be asked. fixed_stream: no event
// has a part in the stream's name.
std::int32_t outcome_of(std::string_view error, bool fixed_stream);

// The error, with what can be done about it where that is known.
std::string explained(std::string_view error);

// The error's first word.
std::string_view code_of(std::string_view error);

// As a command's error, where servers before 7.0 put the script's place before it.
std::string_view without_place(std::string_view error);

}  // namespace tide::redis
