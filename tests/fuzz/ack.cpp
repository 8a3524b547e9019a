// What JetStream, or anybody who answers in its place, says to a publish. First line: the stream expected.
#include "nats_jetstream/ack.hpp"

#include <tide/sink.h>

#include <string>

#include "fuzz.hpp"

using tide::fuzz::require;
using tide::nats::Verdict;

namespace {

bool same(const Verdict& a, const Verdict& b) {
  return a.status == b.status && a.sequence == b.sequence && a.duplicate == b.duplicate &&
         a.error_code == b.error_code && a.why == b.why;
}

void check_stored(const Verdict& verdict, std::string_view answer, std::string_view expected) {
  require(verdict.why.empty(), "what is stored needs no reason", verdict.why);
  simdjson::dom::parser parser;
  simdjson::dom::element json;
  std::string_view stream;
  std::uint64_t sequence = 0;
  require(parser.parse(answer.data(), answer.size()).get(json) == simdjson::SUCCESS && json.is_object(),
          "only JSON proves storage", answer);
  require(json["error"].error() == simdjson::NO_SUCH_FIELD, "an error proves no storage", answer);
  require(json["stream"].get(stream) == simdjson::SUCCESS && !stream.empty(), "storage is in a stream", answer);
  require(expected.empty() || stream == expected, "storage is in the stream expected", answer);
  require(json["seq"].get(sequence) == simdjson::SUCCESS && sequence > 0, "storage has a sequence", answer);
  require(sequence == verdict.sequence, "the sequence is the one that was answered", answer);
}

void check_not_stored(const Verdict& verdict) {
  require(!verdict.why.empty(), "what is not stored says why", {});
  require(verdict.why.size() < 1000, "a reason is short", verdict.why);
  require(simdjson::validate_utf8(verdict.why), "a reason is UTF-8", verdict.why);
  require(verdict.sequence == 0 && !verdict.duplicate, "what is not stored has no place", verdict.why);
  const auto code = verdict.error_code;
  if (verdict.status == TIDE_REJECTED) {
    require(code == 10054 || code == 10097, "an event is given up only for its size", verdict.why);
  } else if (verdict.status == TIDE_FATAL) {
    require(code == 10060, "a pipeline stops only for the wrong stream", verdict.why);
  } else {
    require(verdict.status == TIDE_RETRY, "all else is tried again", verdict.why);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static tide::nats::AckReader used;
  tide::fuzz::Lines lines(tide::fuzz::text_of(data, size));
  const auto expected = lines.next();
  const auto answer = lines.rest();
  if (!simdjson::validate_utf8(expected)) return 0;  // no configuration holds such a name

  const auto verdict = used.judge(answer, expected);
  require(same(verdict, tide::nats::AckReader().judge(answer, expected)), "a reader keeps nothing of earlier answers",
          answer);
  if (verdict.status == TIDE_STORED) {
    check_stored(verdict, answer, expected);
  } else {
    check_not_stored(verdict);
  }
  return 0;
}
