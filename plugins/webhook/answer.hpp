// SPDX-License-Identifier: Apache-2.0
//
// What an HTTP status means for an event. Any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tide::webhook {

// TIDE_STORED, TIDE_RETRY, TIDE_REJECTED or TIDE_FATAL. fixed_url: no event has a part in the URL.
std::int32_t outcome_of(long http_status, bool fixed_url);

// What somebody who sees the status may do about it; may be empty.
std::string_view advice(long http_status);

// Of a Retry-After header: seconds, or a date.
std::optional<std::chrono::seconds> retry_after(std::string_view value, std::chrono::system_clock::time_point now);

}  // namespace tide::webhook
