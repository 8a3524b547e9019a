// SPDX-License-Identifier: Apache-2.0
//
// From the relay's event to NATS's message: its headers and what keeps it from ever being sent. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "handles.hpp"
#include "tide/sink.hpp"

namespace tide::nats {

class MessageMaker {
 public:
  // Each message must go to expected_stream, unless that is empty.
  MessageMaker(std::string expected_stream, bool exclusive)
      : expected_stream_(std::move(expected_stream)), exclusive_(exclusive) {}

  // Why the server would never take the event, or nothing.
  std::optional<std::string> why_unsendable(const tide_message& event, std::string_view subject,
                                            std::size_t max_payload) const;

  // The event must be sendable. The payload is copied byte for byte. Where the stream is exclusive, the message must
  // find expected_sequence as its last.
  MessagePtr make(const tide_message& event, const std::string& subject, const std::string& reply,
                  std::uint64_t expected_sequence);

 private:
  void add_header(natsMsg& message, std::string_view name, std::string_view value);
  std::size_t header_bytes(const tide_message& event) const;

  std::string expected_stream_;
  bool exclusive_;
  std::string name_;  // NUL-terminated copies, kept for their memory
  std::string value_;
};

}  // namespace tide::nats
