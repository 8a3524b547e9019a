// SPDX-License-Identifier: Apache-2.0
//
// The stream that a pipeline would create, or that its operator is advised to. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tide::nats::new_stream {

// The `stream` option; else EVENTS for events.*.insert.
std::string name(std::string_view stream, std::string_view subject_filter);

// events.> for events.*.insert: a stream for the whole family. A filter without a fixed first token stays as it is: a
// stream on ">" would swallow everything.
std::string subject(std::string_view subject_filter);

// The same for several filters, none of which takes what another takes already.
std::vector<std::string> subjects(const std::vector<std::string>& subject_filters);

}  // namespace tide::nats::new_stream
