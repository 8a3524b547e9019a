// SPDX-License-Identifier: Apache-2.0
#include "help.hpp"

#include <cctype>

namespace tide::nats::help {
namespace {

// EVENTS for events.*.insert. Only letters, digits, '-' and '_' are sure to be legal in a stream's name.
std::string suggested_name(std::string_view subject_filter) {
  std::string name;
  for (const char c : subject_filter.substr(0, subject_filter.find('.')))
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_')
      name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name.empty() ? "EVENTS" : name;
}

// events.> for events.*.insert: a stream for the whole family. A filter without a fixed first token stays as it is,
// because a stream on ">" would swallow everything.
std::string suggested_subjects(std::string_view subject_filter) {
  const auto wildcard = subject_filter.find_first_of("*>");
  if (wildcard == std::string_view::npos || wildcard == 0) return std::string(subject_filter);
  return std::string(subject_filter.substr(0, wildcard)) + ">";
}

}  // namespace

std::string create_stream(std::string_view stream, std::string_view subject_filter) {
  const std::string name = stream.empty() ? suggested_name(subject_filter) : std::string(stream);
  return "Create the JetStream stream: nats stream add " + name + " --subjects \"" +
         suggested_subjects(subject_filter) +
         "\", or set the `stream` parameter to match an existing stream, and verify that JetStream is enabled on the "
         "NATS "
         "server (`jetstream: enabled` in its configuration).";
}

}  // namespace tide::nats::help
