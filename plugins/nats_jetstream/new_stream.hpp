// SPDX-License-Identifier: Apache-2.0
//
// The stream that a pipeline would create, or that its operator is advised to. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace tide::nats::new_stream {

// The `stream` option; else EVENTS for events.*.insert.
std::string name(std::string_view stream, std::string_view subject_filter);

// events.> for events.*.insert: a stream for the whole family, because a variable's value may have dots. A filter
// without a fixed first token stays as it is: a stream on ">" would swallow everything.
std::string subjects(std::string_view subject_filter);

}  // namespace tide::nats::new_stream
