// SPDX-License-Identifier: Apache-2.0
#include "new_stream.hpp"

#include <cctype>

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

std::string subjects(std::string_view subject_filter) {
  const auto wildcard = subject_filter.find('*');
  if (wildcard == std::string_view::npos || wildcard == 0) return std::string(subject_filter);
  return std::string(subject_filter.substr(0, wildcard)) + ">";
}

}  // namespace tide::nats::new_stream
