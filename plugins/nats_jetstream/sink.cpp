// SPDX-License-Identifier: Apache-2.0
#include "sink.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "help.hpp"
#include "stream.hpp"
#include "subject.hpp"

namespace tide::nats {
namespace {

using std::chrono::milliseconds;

// Unsent bytes beyond which no more is accepted: the server or the network is slower than the relay.
constexpr std::size_t max_buffered = std::size_t{1024} * 1024;

// JetStream answers within milliseconds, or a second or two while it elects a leader.
constexpr std::chrono::seconds silence_deadline{5};
// While other messages are answered, one that is not has lost its answer.
constexpr std::chrono::seconds answer_deadline{30};

// A server that stops hands its streams over first. Answers that were lost with that never come.
constexpr std::chrono::seconds leave_taking{1};

constexpr std::int64_t wrong_last_sequence = 10071;

// A position is the sequence that follows the message, so that also an empty stream has one: 0 means "none known".
constexpr std::uint64_t position_after(std::uint64_t sequence) {
  return sequence + 1;
}

std::string describe(const std::vector<Stream>& streams) {
  std::string text;
  for (const auto& stream : streams)
    text += (text.empty() ? "" : ", ") + stream.name + " (duplicate window " +
            std::to_string(stream.duplicate_window.count()) + " s)";
  return text.empty() ? "unknown" : text;
}

std::string joined(const std::vector<std::string>& filters) {
  std::string text;
  for (const auto& filter : filters) text += (text.empty() ? "" : ", ") + filter;
  return text;
}

}  // namespace

JetStreamSink::JetStreamSink(Host host, const Config& config)
    : JetStreamSink(host, Settings(config), config.sink_position(), Clock::now() + config.deadline()) {}

JetStreamSink::JetStreamSink(Host host, const Settings& settings, std::uint64_t position, Clock::time_point deadline)
    : host_(host),
      connection_(settings, deadline),
      stream_(settings.stream),
      subject_filters_(settings.subject_filters),
      maker_(settings.stream, settings.exclusive) {
  // Where the subject varies, only its first event tells.
  for (const auto& filter : settings.subject_filters)
    if (is_fixed(filter)) connection_.require_right_to_publish(filter, deadline);
  const auto streams = find_streams(connection_, settings, host, deadline);
  know_stream(streams, settings, position);
  host.info("connected to " + connection_.server() + ", subject " + joined(subject_filters_) + ", stream " +
            describe(streams) + (settings.exclusive ? ", exclusive" : ""));
}

JetStreamSink::~JetStreamSink() {
  if (held_) held_->tell();
}

// Of the filters, the one that takes the subject.
const std::string& JetStreamSink::filter_taking(std::string_view subject) const {
  const auto found = std::find_if(subject_filters_.begin(), subject_filters_.end(),
                                  [&](const std::string& filter) { return covers(filter, subject); });
  return found == subject_filters_.end() ? subject_filters_.front() : *found;
}

void JetStreamSink::know_stream(const std::vector<Stream>& streams, const Settings& settings, std::uint64_t position) {
  counts_ = streams.size() == 1 || (streams.empty() && !settings.stream.empty());
  if (settings.exclusive && streams.size() != 1)
    throw Error::fatal(streams.empty()
                           ? "exclusive needs the stream's last sequence: allow publishing to " + settings.api_prefix +
                                 "STREAM.NAMES and " + settings.api_prefix + "STREAM.INFO.*"
                           : "exclusive needs one stream, but the subject " + joined(subject_filters_) + " reaches " +
                                 describe(streams) + ": set `stream`, or narrow `subject`");
  if (streams.size() != 1) return;
  const Stream& stream = streams.front();
  if (settings.exclusive) {
    chain_.emplace(stream.last_sequence);
    stream_ = stream.name;
    maker_ = MessageMaker(stream_, true);
  }

  const std::uint64_t end = position_after(stream.last_sequence);
  if (position > end)
    host_.warn("stream " + stream.name + " ends at sequence " + std::to_string(stream.last_sequence) +
               ", before the last confirmed one, " + std::to_string(position - 1) +
               ": it was made anew, or is another stream than before");
  if (position == 0 || position > end)
    standing_ = end;
  else if (position < end && stream.keeps_messages)
    held_.emplace(host_, stream, position, subject_filters_);
}

std::size_t JetStreamSink::publish(const Batch& batch) {
  const auto now = Clock::now();
  const std::size_t max_payload = connection_.max_payload();
  std::size_t accepted = 0;
  for (const tide_message& event : batch) {
    if (full() || blocked()) break;
    if (held_ && event.maybe_sent == 0) {  // all that was in doubt is past
      held_->tell();
      held_.reset();
    } else if (held_ && !held_->ready()) {
      held_->read(connection_);
      asked_ = now;
      break;
    }
    accept(event, max_payload, now);
    ++accepted;
  }
  if (accepted > 0) quiet_ = false;
  connection_.flush();
  return accepted;
}

bool JetStreamSink::full() const {
  // Messages without a responder are told from the others once nothing else is in flight: see settle_no_responders.
  return in_flight_.full() || no_responders_ > 0 || known_.size() >= InFlight::capacity ||
         connection_.buffered() >= max_buffered || connection_.told_to_leave();
}

bool JetStreamSink::blocked() const {
  return (held_ && held_->reading()) || (chain_ && chain_->broken());
}

void JetStreamSink::accept(const tide_message& event, std::size_t max_payload, Clock::time_point now) {
  if (held_) {
    if (const auto sequence = held_->find(view(event.key))) {
      known_.push_back({event.token, *sequence, {}});
      return;
    }
  }
  // The one template option of the table is the subject.
  subject_ = event.field_count == 0 ? std::string_view{} : view(event.fields[0]);
  if (auto why = maker_.why_unsendable(event, subject_, max_payload)) {
    known_.push_back({event.token, 0, std::move(*why)});
    return;
  }
  reply_ = connection_.inbox_prefix();
  reply_ += std::to_string(in_flight_.next_number());
  auto message = maker_.make(event, subject_, reply_, chain_ ? chain_->next() : 0);
  in_flight_.add(event.token, subject_, now);
  connection_.publish(std::move(message));
}

void JetStreamSink::ack(Results& results, milliseconds timeout) {
  const auto until = Clock::now() + timeout;
  if (held_ && quiet_ && in_flight_.empty()) held_->tell();
  quiet_ = known_.empty();
  hand_over_known(results);
  collect(results);
  const bool was_blocked = blocked();
  for (bool first = true;; first = false) {
    ask_for_last_sequence();
    // What is known already is handed over at once, but the socket gets its turn in every call.
    const auto wait_until = results.empty() ? std::min(until, silence_limit()) : Clock::time_point{};
    const auto wait = std::chrono::ceil<milliseconds>(wait_until - Clock::now());
    pump(std::max(wait, milliseconds::zero()));
    collect(results);
    // After the socket was looked at: this thread may have been kept from it for long.
    if (first && in_flight_.empty() && !blocked()) connection_.keep_alive();
    if (!results.empty() || (was_blocked && !blocked())) return;
    leave_if_told();
    throw_if_silent();
    if (Clock::now() >= until) return;
  }
}

void JetStreamSink::hand_over_known(Results& results) {
  if (standing_ && !results.full()) {
    results.standing(*standing_);
    standing_.reset();
  }
  for (; !known_.empty() && !results.full(); known_.pop_front()) {
    Known& known = known_.front();
    if (known.sequence == 0)
      results.rejected(known.token, std::move(known.why));
    else
      results.stored(known.token, position(known.sequence), true);
  }
}

// Nothing that may still be in doubt stands before it: the relay may die as soon as it has committed this position.
std::uint64_t JetStreamSink::position(std::uint64_t sequence) const {
  if (!counts_) return 0;
  const auto open = held_ ? held_->first_open() : std::nullopt;
  return std::min(position_after(sequence), open.value_or(UINT64_MAX));
}

// A broken chain is mended once every message that was sent has its answer: nothing of ours moves the sequence then.
void JetStreamSink::ask_for_last_sequence() {
  if (!chain_ || !chain_->broken() || resyncing_ || !in_flight_.empty()) return;
  if (chain_->has_other_writer())
    throw Error::fatal(
        "stream " + stream_ +
            " is not this pipeline's alone, as `exclusive` says: its last sequence "
            "was another one " +
            std::to_string(SequenceChain::max_foreign + 1) +
            " times in a row. There is another writer, or another relay that lost its lock and still runs. "
            "End it, or turn `exclusive` off.",
        wrong_last_sequence);
  resyncing_ = true;
  asked_ = Clock::now();
  connection_.ask(info_request(stream_), {}, "info");
}

void JetStreamSink::pump(milliseconds timeout) {
  try {
    connection_.pump(timeout);
  } catch (const Error&) {
    // A user without the right to read the stream can still publish to it.
    const std::string denial = connection_.denial();
    if (!connection_.denied_api("CONSUMER.")) throw;
    connection_.forgive_denial();
    if (held_) held_->give_up(denial);
  }
}

void JetStreamSink::collect(Results& results) {
  while (!results.full()) {
    const Reply reply = connection_.next_reply();
    if (reply.kind == Reply::Kind::none) break;
    last_answer_ = Clock::now();
    if (reply.kind == Reply::Kind::no_responders && !in_flight_.empty()) {
      ++no_responders_;
      if (chain_) chain_->broken_by_own();
      continue;
    }
    std::uint64_t number = 0;
    if (reply.kind == Reply::Kind::message) {
      const auto suffix = reply.subject_suffix();
      std::from_chars(suffix.data(), suffix.data() + suffix.size(), number);
    }
    if (number == 0)
      take_answer(reply);
    else if (const InFlight::Entry* entry = in_flight_.answer(number))
      add_result(results, *entry, reply.data());
  }
  settle_no_responders(results);
}

// To a question of our own.
void JetStreamSink::take_answer(const Reply& reply) {
  if (resyncing_) {
    if (reply.kind == Reply::Kind::no_responders)
      throw Error::retry("No responders: " + connection_.server() + " does not serve JetStream now",
                         NATS_NO_RESPONDERS);
    if (reply.kind == Reply::Kind::message && reply.subject_suffix() == "info") {
      const std::uint64_t last = last_sequence_of(reply.data());
      if (chain_->other_writer_suspected())
        host_.warn("stream " + stream_ + " ends at sequence " + std::to_string(last) +
                   " by the doing of somebody else, though `exclusive` says that it is this pipeline's alone");
      chain_->mend(last);
      resyncing_ = false;
      return;
    }
  }
  if (held_) held_->take(connection_, reply);
}

void JetStreamSink::add_result(Results& results, const InFlight::Entry& entry, std::string_view answer) {
  Verdict verdict = acks_.judge(answer, stream_);
  if (chain_) chain(verdict);
  if (verdict.status == TIDE_STORED) return results.stored(entry.token, position(verdict.sequence), verdict.duplicate);
  results.failed(entry.token, verdict.status, "subject " + entry.subject + ": " + verdict.why, verdict.error_code);
}

void JetStreamSink::chain(const Verdict& verdict) {
  if (verdict.status == TIDE_STORED && !verdict.duplicate) return chain_->stored();
  if (verdict.error_code == wrong_last_sequence) return chain_->wrong_sequence();
  chain_->broken_by_own();
}

// cnats does not say whose answer "no responders" was. But each message gets one answer: when as many are open as
// there are such answers, these are the ones.
void JetStreamSink::settle_no_responders(Results& results) {
  if (in_flight_.empty()) no_responders_ = 0;  // to a question of ours
  if (no_responders_ != in_flight_.unanswered()) return;
  for (; no_responders_ > 0 && !results.full(); --no_responders_) {
    const InFlight::Entry& entry = *in_flight_.answer(in_flight_.oldest_number());
    results.retry(entry.token,
                  "No responders: no stream takes the subject " + entry.subject + " now. " +
                      help::create_stream(stream_, filter_taking(entry.subject)),
                  NATS_NO_RESPONDERS);
  }
}

Clock::time_point JetStreamSink::silence_limit() const {
  if (in_flight_.empty())
    return resyncing_ || (held_ && held_->reading()) ? std::max(asked_, last_answer_) + silence_deadline
                                                     : Clock::time_point::max();
  const auto sent = in_flight_.oldest().sent;
  return std::min(std::max(sent, last_answer_) + silence_deadline, sent + answer_deadline);
}

void JetStreamSink::throw_if_silent() const {
  if (Clock::now() < silence_limit()) return;
  if (in_flight_.empty())
    throw Error::retry(connection_.server() + " did not answer a question about stream " + stream_ + " in time");
  throw Error::retry("no acknowledgement from " + connection_.server() + " for " +
                     std::to_string(in_flight_.unanswered()) + " messages, the oldest on subject " +
                     in_flight_.oldest().subject +
                     ". The server may hang or be overloaded, or its user may lack the right to subscribe to _INBOX.>");
}

// What is in flight is answered first, and whatever is not will be sent again by the next instance, in order.
void JetStreamSink::leave_if_told() const {
  if (!connection_.told_to_leave()) return;
  if (!in_flight_.empty() && Clock::now() < std::max(in_flight_.oldest().sent, last_answer_) + leave_taking) return;
  throw Error::reconnect(connection_.server() + " is about to stop (lame duck mode) and asked its clients to leave; " +
                         std::to_string(in_flight_.unanswered()) + " messages in flight are sent to another server");
}

}  // namespace tide::nats
