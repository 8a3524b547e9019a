// SPDX-License-Identifier: Apache-2.0
//
// What JetStream's answer to a publish means for the message. One thread at a time.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace tide::nats {

struct Verdict {
  std::int32_t status = 0;  // TIDE_STORED, TIDE_RETRY, TIDE_REJECTED or TIDE_FATAL
  std::uint64_t sequence = 0;
  bool duplicate = false;
  std::int64_t error_code = 0;  // JetStream's err_code
  std::string why;              // for what is not stored
};

class AckReader {
 public:
  // expected_stream may be empty: any stream's acknowledgement counts then.
  Verdict judge(std::string_view answer, std::string_view expected_stream);

 private:
  simdjson::dom::parser parser_;
  std::string padded_;
};

}  // namespace tide::nats
