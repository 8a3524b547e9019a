// SPDX-License-Identifier: Apache-2.0
//
// From the relay's event to NATS's message: its headers and what keeps it from ever being sent. One thread at a time.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "handles.hpp"
#include "tide/sink.hpp"

namespace tide::nats {

class MessageMaker {
 public:
  // Each message must go to expected_stream, unless that is empty.
  explicit MessageMaker(std::string expected_stream) : expected_stream_(std::move(expected_stream)) {}

  // Why the server would never take the event, or nothing.
  std::optional<std::string> why_unsendable(const tide_message& event, std::string_view subject,
                                            std::size_t max_payload) const;

  // The event must be sendable. The payload is copied byte for byte.
  MessagePtr make(const tide_message& event, const std::string& subject, const std::string& reply);

 private:
  void add_header(natsMsg& message, std::string_view name, std::string_view value);
  std::size_t header_bytes(const tide_message& event) const;

  std::string expected_stream_;
  std::string name_;  // NUL-terminated copies, kept for their memory
  std::string value_;
};

}  // namespace tide::nats
