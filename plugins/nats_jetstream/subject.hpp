// SPDX-License-Identifier: Apache-2.0
//
// NATS subjects: dot-separated tokens, with '*' for one token and a final '>' for the rest in a filter. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tide::nats {

// True when a message can be published on it: no empty token, white space, control character or wildcard.
bool is_publishable(std::string_view subject);

// What a subject template can become, as a filter: a token with a variable in it (TIDE_UNKNOWN) becomes '*', one that
// may be several (TIDE_UNKNOWN_TOKENS) a final '>'.
std::string filter_of(std::string_view subject_template);

// True when only one subject matches the filter.
bool is_fixed(std::string_view filter);

// One filter that takes all that these take and little else; ">" where they have nothing in common.
std::string common_filter(const std::vector<std::string>& filters);

// True when some subject matches both filters.
bool overlaps(std::string_view filter_a, std::string_view filter_b);

// True when every subject that matches `narrow` matches `wide`, too.
bool covers(std::string_view wide, std::string_view narrow);

}  // namespace tide::nats
