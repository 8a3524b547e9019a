// SPDX-License-Identifier: Apache-2.0
//
// What it means that the server closed a connection or a channel, and what people can do about it. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tide::rabbitmq {

// Of a connection: TIDE_RETRY or TIDE_FATAL.
std::int32_t outcome_of_close(std::uint16_t code, std::string_view text);

// Of a channel, for the events that were in flight: TIDE_RETRY or TIDE_FATAL, but for those that it was closed for.
std::int32_t outcome_of_channel(std::uint16_t code);

// The text, with what can be done about it where that is known.
std::string explained(std::uint16_t code, std::string_view text);

// The exchange that a 404 says is missing; empty where it says something else.
std::string_view missing_exchange(std::string_view text);

// The size that a 406 says messages may have.
std::optional<std::uint64_t> largest_message(std::string_view text);

}  // namespace tide::rabbitmq
