// What one check of a plugin found. It goes out at once, a line each, since the plugin may end the process at any
// moment. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace tide::conformance {

inline constexpr std::string_view kBroken = "#broken ";    // then the rule and what was seen
inline constexpr std::string_view kSkipped = "#skipped ";  // then why
inline constexpr std::string_view kNote = "#note ";        // then what was seen

void broken(const char* rule, const std::string& text);
void skipped(const std::string& why);
void note(const std::string& text);

bool any_broken();

}  // namespace tide::conformance
