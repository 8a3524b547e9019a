// SPDX-License-Identifier: Apache-2.0
#include "sink.hpp"

#include <algorithm>

#include "../envelope/envelope.hpp"
#include "../net/connect.hpp"
#include "answer.hpp"
#include "script.hpp"

namespace tide::redis {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMostBytes = 16u << 20;   // in flight
constexpr std::size_t kMostUnsent = 1u << 20;   // the server or the network is slower than the relay
constexpr std::size_t kMostHeaders = 1000;      // a Lua call takes some thousands of arguments
constexpr std::chrono::seconds kPingEvery{10};  // while there is nothing else to send

}  // namespace

RedisSink::RedisSink(Host host, const Config& config)
    : host_(host),
      settings_(config),
      // Some time is left to say what went wrong.
      connection_(net::connect_to_one<Connection>(settings_, Clock::now() + config.deadline() * 9 / 10)),
      heard_(Clock::now()) {
  host_.info("connected to " + connection_->server());
}

// ---------------------------------------------------------------------------------------------------- sending

bool RedisSink::full() const {
  // Until the relay has heard of what is to be sent again, what it publishes may have to stand behind that.
  return !failure_.empty() || in_flight_.size() >= settings_.max_in_flight || bytes_ >= kMostBytes ||
         connection_->unsent() >= kMostUnsent;
}

std::size_t RedisSink::publish(const Batch& batch) {
  std::size_t taken = 0;
  if (script_missing_ && !full()) {
    send_own({"SCRIPT", "LOAD", add_script});
    script_missing_ = false;
  }
  for (const auto& event : batch) {
    if (full()) break;
    accept(event);
    ++taken;
  }
  connection_->flush();
  return taken;
}

std::string RedisSink::why_unsendable(const tide_message& event, std::string_view stream) const {
  if (settings_.shape_of(stream) == nullptr)
    return "the stream's name " + std::string(stream) +
           " has other parts than its template: a value holds one of : { }";
  const auto size = settings_.envelope ? envelope_.size() : view(event.payload).size();
  if (size > connection_->max_value())
    return "its " + std::to_string(size) + " bytes are more than the server takes, " +
           std::to_string(connection_->max_value()) + ": raise proto-max-bulk-len";
  if (headers(event).size() > kMostHeaders) return "it has more than " + std::to_string(kMostHeaders) + " headers";
  return {};
}

void RedisSink::accept(const tide_message& event) {
  if (fields(event).empty()) throw Error::fatal("the relay sent no value for a template option");
  const std::string stream(view(fields(event).front()));
  envelope_.clear();
  if (settings_.envelope) envelope::append(envelope_, event);
  if (auto why = why_unsendable(event, stream); !why.empty()) {
    done_.push_back({event.token, TIDE_REJECTED, false, std::move(why)});
    return;
  }
  const auto ids = key_beside(stream, settings_.pipeline, "ids");
  const auto turn_key = key_beside(stream, settings_.pipeline, "turn");
  const auto turn = chains_.sent(stream);
  Connection::Command command{"EVALSHA",
                              add_script_sha(),
                              "3",
                              stream,
                              ids,
                              turn_key,
                              turn.expected,
                              turn.following,
                              view(event.key),
                              settings_.remember_ids,
                              settings_.remember_seconds,
                              settings_.trim,
                              settings_.maxlen,
                              "id",
                              view(event.key)};
  std::deque<std::string> names;
  if (settings_.envelope) {
    command.insert(command.end(), {settings_.payload_field, envelope_});
  } else {
    command.insert(command.end(), {"op", view(event.op), settings_.payload_field, view(event.payload)});
    for (const auto& header : headers(event))
      command.insert(command.end(), {names.emplace_back("header.").append(view(header.name)), view(header.value)});
  }
  std::size_t bytes = 0;
  for (const auto part : command) bytes += part.size();
  in_flight_.push_back({event.token, stream, !settings_.shape_of(stream)->varies(), bytes, Clock::now()});
  bytes_ += bytes;
  connection_->send(command);
}

void RedisSink::send_own(const Connection::Command& command) {
  in_flight_.push_back({0, {}, false, 0, Clock::now()});
  connection_->send(command);
}

// ---------------------------------------------------------------------------------------------------- answers

void RedisSink::take_replies() {
  connection_->receive();
  while (auto reply = connection_->next_reply()) {
    heard_ = Clock::now();
    if (in_flight_.empty())
      throw Error::retry(connection_->server() + " said what nobody asked for: " + explained(reply.text()));
    const auto sent = std::move(in_flight_.front());
    in_flight_.pop_front();
    bytes_ -= sent.bytes;
    take(sent, reply);
  }
}

void RedisSink::take(const InFlight& sent, const Reply& reply) {
  if (sent.token == 0) {
    if (reply.is_error()) throw Error::retry(connection_->server() + " refused a command: " + explained(reply.text()));
    return;
  }
  chains_.answered(sent.stream);
  if (reply.is_error())
    fail(sent, without_place(reply.text()));
  else
    done_.push_back({sent.token, TIDE_STORED, reply.is_nil(), {}});
}

void RedisSink::fail(const InFlight& sent, std::string_view error) {
  auto why = "stream " + sent.stream + " on " + connection_->server() + ": " + explained(error);
  auto outcome = outcome_of(error, sent.fixed_stream);
  if (outcome == TIDE_REJECTED) {
    done_.push_back({sent.token, TIDE_REJECTED, false, std::move(why)});
    return;
  }
  if (code_of(error) == "NOSCRIPT") script_missing_ = true;
  if (outcome == TIDE_RECONNECT) {
    if (demotion_.empty()) demotion_ = why;
    outcome = TIDE_RETRY;
  }
  // Of those behind it, Redis says only that it was not their turn.
  const bool first = failure_.empty();
  if (first) failure_ = why;
  done_.push_back({sent.token, outcome, false, !first && code_of(error) == out_of_turn ? failure_ : std::move(why)});
}

void RedisSink::ack(Results& results, milliseconds timeout) {
  const auto until = Clock::now() + timeout;
  keep_alive();
  for (;;) {
    hand_over(results);
    const auto wait_until = results.empty() ? until : Clock::time_point{};
    const auto silent_at = in_flight_.empty() ? until : std::max(in_flight_.front().sent, heard_) + settings_.timeout;
    if (connection_->wait(std::min(wait_until, silent_at))) take_replies();
    hand_over(results);
    if (!results.empty() || results.full()) return;
    if (!demotion_.empty()) throw Error::reconnect(demotion_);
    throw_if_silent();
    if (Clock::now() >= until) return;
  }
}

void RedisSink::hand_over(Results& results) {
  for (; !done_.empty() && !results.full(); done_.pop_front()) {
    auto& [token, status, duplicate, error] = done_.front();
    if (status == TIDE_STORED)
      results.stored(token, 0, duplicate);
    else
      results.failed(token, status, std::move(error));
  }
  if (done_.empty() && in_flight_.empty()) failure_.clear();
}

void RedisSink::keep_alive() {
  if (in_flight_.empty() && Clock::now() >= heard_ + kPingEvery) send_own({"PING"});
}

void RedisSink::throw_if_silent() const {
  if (in_flight_.empty() || Clock::now() < std::max(in_flight_.front().sent, heard_) + settings_.timeout) return;
  throw Error::retry(connection_->server() + " has not answered for " + std::to_string(settings_.timeout.count()) +
                     " ms, with " + std::to_string(in_flight_.size()) +
                     " commands in flight. It may hang, run a slow command, or the network to it be cut");
}

}  // namespace tide::redis
