// SPDX-License-Identifier: Apache-2.0
#include "sink.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "help.hpp"
#include "stream.hpp"

namespace tide::nats {
namespace {

using std::chrono::milliseconds;

// Unsent bytes beyond which no more is accepted: the server or the network is slower than the relay.
constexpr std::size_t max_buffered = std::size_t{1024} * 1024;

// JetStream answers within milliseconds, or a second or two while it elects a leader.
constexpr std::chrono::seconds silence_deadline{5};
// While other messages are answered, one that is not has lost its answer.
constexpr std::chrono::seconds answer_deadline{30};

std::string describe(const std::vector<Stream>& streams) {
  std::string text;
  for (const auto& stream : streams)
    text += (text.empty() ? "" : ", ") + stream.name + " (duplicate window " +
            std::to_string(stream.duplicate_window.count()) + " s)";
  return text.empty() ? "unknown" : text;
}

}  // namespace

JetStreamSink::JetStreamSink(Host host, const Config& config)
    : JetStreamSink(host, Settings(config), Clock::now() + config.deadline()) {}

JetStreamSink::JetStreamSink(Host host, const Settings& settings, Clock::time_point deadline)
    : connection_(settings, deadline),
      stream_(settings.stream),
      subject_filter_(settings.subject_filter),
      maker_(settings.stream) {
  const auto streams = find_streams(connection_, settings, host, deadline);
  host.info("connected to " + connection_.server() + ", subject " + subject_filter_ + ", stream " + describe(streams));
}

std::size_t JetStreamSink::publish(const Batch& batch) {
  const auto now = Clock::now();
  const std::size_t max_payload = connection_.max_payload();
  std::size_t accepted = 0;
  for (const tide_message& event : batch) {
    if (full()) break;
    accept(event, max_payload, now);
    ++accepted;
  }
  connection_.flush();
  return accepted;
}

bool JetStreamSink::full() const {
  // Messages without a responder are told from the others once nothing else is in flight: see settle_no_responders.
  return in_flight_.full() || no_responders_ > 0 || refused_.size() >= InFlight::capacity ||
         connection_.buffered() >= max_buffered;
}

void JetStreamSink::accept(const tide_message& event, std::size_t max_payload, Clock::time_point now) {
  // The one template option of the table is the subject.
  subject_ = event.field_count == 0 ? std::string_view{} : view(event.fields[0]);
  if (auto why = maker_.why_unsendable(event, subject_, max_payload)) {
    refused_.push_back({event.token, std::move(*why)});
    return;
  }
  reply_ = connection_.inbox_prefix();
  reply_ += std::to_string(in_flight_.next_number());
  const auto message = maker_.make(event, subject_, reply_);
  in_flight_.add(event.token, subject_, now);
  connection_.publish(*message);
}

void JetStreamSink::ack(Results& results, milliseconds timeout) {
  const auto until = Clock::now() + timeout;
  hand_over_refused(results);
  collect(results);
  for (;;) {
    // What is known already is handed over at once, but the socket gets its turn in every call.
    const auto wait_until = results.empty() ? std::min(until, silence_limit()) : Clock::time_point{};
    const auto wait = std::chrono::ceil<milliseconds>(wait_until - Clock::now());
    connection_.pump(std::max(wait, milliseconds::zero()));
    collect(results);
    if (!results.empty()) return;
    throw_if_silent();
    if (Clock::now() >= until) return;
  }
}

void JetStreamSink::hand_over_refused(Results& results) {
  for (; !refused_.empty() && !results.full(); refused_.pop_front())
    results.rejected(refused_.front().token, std::move(refused_.front().why));
}

void JetStreamSink::collect(Results& results) {
  while (!results.full()) {
    const Reply reply = connection_.next_reply();
    if (reply.kind == Reply::Kind::none) break;
    last_answer_ = Clock::now();
    if (reply.kind == Reply::Kind::no_responders) {
      ++no_responders_;
      continue;
    }
    const auto suffix = reply.subject_suffix();
    std::uint64_t number = 0;
    std::from_chars(suffix.data(), suffix.data() + suffix.size(), number);
    if (const InFlight::Entry* entry = in_flight_.answer(number)) add_result(results, *entry, reply.data());
  }
  settle_no_responders(results);
}

void JetStreamSink::add_result(Results& results, const InFlight::Entry& entry, std::string_view answer) {
  Verdict verdict = acks_.judge(answer, stream_);
  if (verdict.status == TIDE_STORED) return results.stored(entry.token, verdict.sequence, verdict.duplicate);
  std::string why = "subject " + entry.subject + ": " + verdict.why;
  if (verdict.status == TIDE_REJECTED) return results.rejected(entry.token, std::move(why), verdict.error_code);
  if (verdict.status == TIDE_FATAL) return results.fatal(entry.token, std::move(why), verdict.error_code);
  results.retry(entry.token, std::move(why), verdict.error_code);
}

// cnats does not say whose answer "no responders" was. But each message gets one answer: when as many are open as
// there are such answers, these are the ones.
void JetStreamSink::settle_no_responders(Results& results) {
  if (no_responders_ != in_flight_.unanswered()) return;
  for (; no_responders_ > 0 && !results.full(); --no_responders_) {
    const InFlight::Entry& entry = *in_flight_.answer(in_flight_.oldest_number());
    results.retry(entry.token,
                  "No responders: no stream takes the subject " + entry.subject + " now. " +
                      help::create_stream(stream_, subject_filter_),
                  NATS_NO_RESPONDERS);
  }
}

Clock::time_point JetStreamSink::silence_limit() const {
  if (in_flight_.empty()) return Clock::time_point::max();
  const auto sent = in_flight_.oldest().sent;
  return std::min(std::max(sent, last_answer_) + silence_deadline, sent + answer_deadline);
}

void JetStreamSink::throw_if_silent() const {
  if (Clock::now() < silence_limit()) return;
  throw Error::retry("no acknowledgement from " + connection_.server() + " for " +
                     std::to_string(in_flight_.unanswered()) + " messages, the oldest on subject " +
                     in_flight_.oldest().subject +
                     ". The server may hang or be overloaded, or its user may lack the right to subscribe to _INBOX.>");
}

}  // namespace tide::nats
