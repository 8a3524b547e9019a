// SPDX-License-Identifier: Apache-2.0
#include "new_stream.hpp"

#include <algorithm>
#include <cctype>

#include "subject.hpp"

namespace tide::nats::new_stream {

std::string name(std::string_view stream, std::string_view subject_filter) {
  if (!stream.empty()) return std::string(stream);
  // Only letters, digits, '-' and '_' are sure to be legal in a stream's name.
  std::string name;
  for (const char c : subject_filter.substr(0, subject_filter.find('.')))
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_')
      name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name.empty() ? "EVENTS" : name;
}

std::string subject(std::string_view subject_filter) {
  const auto wildcard = subject_filter.find_first_of("*>");
  if (wildcard == std::string_view::npos || wildcard == 0) return std::string(subject_filter);
  return std::string(subject_filter.substr(0, wildcard)) + ">";
}

std::vector<std::string> subjects(const std::vector<std::string>& subject_filters) {
  std::vector<std::string> all;
  for (const auto& filter : subject_filters) {
    const auto candidate = subject(filter);
    if (std::any_of(all.begin(), all.end(), [&](const auto& wide) { return covers(wide, candidate); })) continue;
    std::erase_if(all, [&](const std::string& one) { return covers(candidate, one); });
    all.push_back(candidate);
  }
  return all;
}

}  // namespace tide::nats::new_stream
