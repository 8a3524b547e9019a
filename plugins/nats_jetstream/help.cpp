// SPDX-License-Identifier: Apache-2.0
#include "help.hpp"

#include "new_stream.hpp"

namespace tide::nats::help {

std::string create_stream(std::string_view stream, std::string_view subject_filter) {
  return "Create the JetStream stream: nats stream add " + new_stream::name(stream, subject_filter) + " --subjects \"" +
         new_stream::subject(subject_filter) +
         "\" (or let the relay do so, with \"create_stream\": true), or set the `stream` parameter to match an "
         "existing "
         "stream, and verify that JetStream is enabled on the NATS server (`jetstream: enabled` in its configuration).";
}

}  // namespace tide::nats::help
