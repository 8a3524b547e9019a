// SPDX-License-Identifier: Apache-2.0
#include "ack.hpp"

#include "tide/sink.h"

namespace tide::nats {
namespace {

// JetStream's err_code values that are not about a passing state of the server.
constexpr std::int64_t message_exceeds_maximum = 10054;
constexpr std::int64_t header_exceeds_maximum = 10097;
constexpr std::int64_t stream_not_match = 10060;
constexpr std::int64_t stream_store_failed = 10077;

Verdict retry(std::string why, std::int64_t code = 0) {
  return {TIDE_RETRY, 0, false, code, std::move(why)};
}

// What can't be told to be final is tried again: an event is not given up on a guess.
Verdict judge_error(const simdjson::dom::element& error) {
  std::int64_t code = 0;
  std::int64_t status = 0;
  std::string_view description;
  if (error["err_code"].get(code) != simdjson::SUCCESS) code = 0;
  if (error["code"].get(status) != simdjson::SUCCESS) status = 0;
  if (error["description"].get(description) != simdjson::SUCCESS) description = "no description";

  std::string why = "JetStream answered: " + std::string(description) + " (code " + std::to_string(status) +
                    ", err_code " + std::to_string(code) + ")";
  switch (code) {
    case message_exceeds_maximum:
      return {TIDE_REJECTED, 0, false, code, why + ". Raise the stream's max_msg_size, or publish smaller events."};
    case header_exceeds_maximum:
      return {TIDE_REJECTED, 0, false, code, why + ". The event's headers are too large."};
    case stream_not_match:
      return {TIDE_FATAL, 0, false, code,
              why + ". The subject belongs to another stream than the `stream` option names."};
    case stream_store_failed:
      return retry(why + ". The stream may be full: raise its limits, or let it discard old messages.", code);
    default:
      return retry(std::move(why), code);
  }
}

}  // namespace

Verdict AckReader::judge(std::string_view answer, std::string_view expected_stream) {
  padded_.reserve(answer.size() + simdjson::SIMDJSON_PADDING);
  padded_.assign(answer);
  simdjson::dom::element json;
  if (parser_.parse(padded_.data(), padded_.size(), false).get(json) != simdjson::SUCCESS || !json.is_object())
    return retry("the answer is no JetStream acknowledgement: is another subscriber answering on this subject?");
  if (simdjson::dom::element error; json["error"].get(error) == simdjson::SUCCESS) return judge_error(error);

  Verdict verdict{TIDE_STORED, 0, false, 0, {}};
  std::string_view stream;
  if (json["seq"].get(verdict.sequence) != simdjson::SUCCESS) verdict.sequence = 0;
  if (json["duplicate"].get(verdict.duplicate) != simdjson::SUCCESS) verdict.duplicate = false;
  if (json["stream"].get(stream) != simdjson::SUCCESS || stream.empty())
    return retry("the acknowledgement names no stream: it proves nothing");
  if (!expected_stream.empty() && stream != expected_stream)
    return retry("the acknowledgement comes from stream " + std::string(stream) + " instead of " +
                 std::string(expected_stream));
  // From 2.10.14 on and before 2.12, a cluster's server notes a message's id before it stores the message, and keeps it
  // when it refuses the message then (nats-server 2.10.27, processClusteredInboundMsg).
  if (verdict.sequence == 0 && verdict.duplicate)
    return retry(
        "the server has seen the message's id and stored no message with it: nats-server 2.10 and 2.11 keep the id of "
        "one that they refused, until the stream's duplicate window has passed or its leader changes");
  if (verdict.sequence == 0) return retry("the acknowledgement has no stream sequence: it does not prove storage");
  return verdict;
}

}  // namespace tide::nats
