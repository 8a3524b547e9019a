// SPDX-License-Identifier: Apache-2.0
#include "sink.hpp"

#include <algorithm>
#include <utility>

#include "../net/connect.hpp"
#include "verdict.hpp"

namespace tide::rabbitmq {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMostBytes = 16u << 20;  // in flight
constexpr std::size_t kMostUnsent = 1u << 20;  // the server or the network is slower than the relay
constexpr std::uint16_t kNoRoute = 312;

// The option's place among the template options.
constexpr std::size_t kRoutingKey = 0;
constexpr std::size_t kExchange = 1;
constexpr std::size_t kOrderBy = 2;

}  // namespace

RabbitSink::RabbitSink(Host host, const Config& config)
    : host_(host),
      settings_(config),
      // Some time is left to say what went wrong.
      connection_(net::connect_to_one<Connection>(settings_, Clock::now() + config.deadline() * 9 / 10)),
      maker_(settings_),
      in_flight_(settings_.ordered) {
  host_.info("connected to " + connection_->server() + ", virtual host " + settings_.vhost);
}

// ---------------------------------------------------------------------------------------------------- sending

bool RabbitSink::full() const {
  // Until the relay has heard of what is to be sent again, what it publishes may have to stand behind that.
  return failed_ || !open_ || blocked_ || in_flight_.size() >= settings_.max_in_flight ||
         in_flight_.bytes() >= kMostBytes || connection_->unsent() >= kMostUnsent;
}

std::size_t RabbitSink::publish(const Batch& batch) {
  std::size_t taken = 0;
  for (const auto& event : batch) {
    if (full() || !accept(event)) break;
    ++taken;
  }
  connection_->flush();
  return taken;
}

bool RabbitSink::accept(const tide_message& event) {
  const auto texts = fields(event);
  if (texts.size() <= kOrderBy) throw Error::fatal("the relay sent no value for a template option");
  const auto routing_key = tide::view(texts[kRoutingKey]);
  const auto exchange = tide::view(texts[kExchange]);
  std::string order(tide::view(texts[kOrderBy]));
  if (in_flight_.must_wait(order)) return false;
  auto why = maker_.make(event, exchange, routing_key);
  if (why.empty() && !connection_->publish(exchange, routing_key, maker_.properties(), maker_.body()))
    why = "its headers are larger than the " + std::to_string(connection_->largest_properties()) +
          " bytes that the server takes: raise its frame_max, or send less in headers";
  if (!why.empty()) {
    done_.push_back({event.token, TIDE_REJECTED, std::move(why), 0});
    return true;
  }
  in_flight_.add({event.token, std::string(exchange), std::string(routing_key), std::string(maker_.id()),
                  std::move(order), maker_.body().size(), Clock::now()});
  return true;
}

// ---------------------------------------------------------------------------------------------------- answers

std::string RabbitSink::place(const InFlight::Entry& entry) const {
  return (entry.exchange.empty() ? "the default exchange" : "exchange " + entry.exchange) + ", routing key " +
         entry.routing_key + ", on " + connection_->server();
}

void RabbitSink::settle(const InFlight::Entry& entry, std::int32_t status, std::string why, std::uint16_t code) {
  failed_ = failed_ || status == TIDE_RETRY || status == TIDE_FATAL;
  done_.push_back({entry.token, status, std::move(why), code});
}

void RabbitSink::take(const Confirmed& confirmed) {
  in_flight_.confirmed(confirmed.tag, confirmed.multiple, [&](const InFlight::Entry& entry) {
    if (!confirmed.stored)
      return settle(entry, TIDE_RETRY,
                    place(entry) + ": the server refused it for now (basic.nack): a queue is full, or lost its leader",
                    0);
    if (entry.returned.empty()) return settle(entry, TIDE_STORED, {}, 0);
    settle(
        entry, settings_.retry_unroutable ? TIDE_RETRY : TIDE_REJECTED,
        place(entry) + ": no queue takes it: " + entry.returned +
            (entry.exchange.empty() ? ". Declare a queue of that name" : ". Bind a queue to the exchange for that key"),
        kNoRoute);
  });
}

void RabbitSink::take(const Returned& returned) {
  if (!in_flight_.returned(returned.message_id, returned.exchange, returned.routing_key, returned.why))
    throw Error::retry(connection_->server() + " returned a message that is not in flight (exchange " +
                       returned.exchange + ", routing key " + returned.routing_key +
                       "), so what it confirms can't be trusted. Does something between change messages?");
}

// It closes for one message, and says for which as far as that goes; of the others, nobody knows.
void RabbitSink::take(const ChannelClosed& closed) {
  open_ = false;
  const auto why = explained(closed.code, closed.text);
  const auto missing = missing_exchange(closed.text);
  const auto largest = largest_message(closed.text);
  const auto is_culprit = [&](const InFlight::Entry& entry) {
    if (closed.code == AMQP_NOT_FOUND) return entry.exchange == missing && !settings_.fixed_exchange(missing);
    return closed.code == AMQP_PRECONDITION_FAILED && largest && entry.size > *largest;
  };
  bool found = false;
  std::deque<InFlight::Entry> innocent;
  in_flight_.end([&](const InFlight::Entry& entry) {
    if (is_culprit(entry)) {
      found = true;
      settle(entry, TIDE_REJECTED, place(entry) + ": " + why, closed.code);
    } else {
      innocent.push_back(entry);
    }
  });
  const auto status = found ? TIDE_RETRY : outcome_of_channel(closed.code);
  for (const auto& entry : innocent)
    settle(entry, status, place(entry) + ": the server closed the channel: " + why, closed.code);
  if (innocent.empty() && !found)
    throw Error::retry(connection_->server() + " closed the channel: " + why, closed.code);
  connection_->open_channel();
}

void RabbitSink::take(const ChannelOpened&) {
  open_ = true;
}

void RabbitSink::take(const Blocked& blocked) {
  blocked_ = true;
  host_.warn(connection_->server() + " takes no messages for now: " + blocked.reason +
             ". Free memory or disk space there, or raise its limits");
}

void RabbitSink::take(const Unblocked&) {
  blocked_ = false;
  unblocked_ = Clock::now();
  host_.info(connection_->server() + " takes messages again");
}

void RabbitSink::ack(Results& results, milliseconds timeout) {
  const auto until = Clock::now() + timeout;
  const bool was_shut = !open_ || blocked_;
  for (;;) {
    hand_over(results);
    connection_->keep_alive();
    const auto wait_until = results.empty() ? until : Clock::time_point{};
    if (connection_->wait(std::min({wait_until, silent_at(), Clock::now() + milliseconds(500)}))) {
      for (const auto& event : connection_->receive()) std::visit([&](const auto& what) { take(what); }, event);
      connection_->flush();
    }
    hand_over(results);
    if (!results.empty() || results.full() || (was_shut && open_ && !blocked_)) return;
    throw_if_silent();
    if (Clock::now() >= until) return;
  }
}

void RabbitSink::hand_over(Results& results) {
  for (; !done_.empty() && !results.full(); done_.pop_front()) {
    auto& [token, status, error, code] = done_.front();
    if (status == TIDE_STORED)
      results.stored(token);
    else
      results.failed(token, status, std::move(error), code);
  }
  if (done_.empty() && in_flight_.empty()) failed_ = false;
}

// A server that is blocked says so, and sends heartbeats: that is no silence.
Clock::time_point RabbitSink::silent_at() const {
  if (blocked_ || in_flight_.empty()) return Clock::time_point::max();
  return std::max(in_flight_.oldest().sent, unblocked_) + settings_.timeout;
}

void RabbitSink::throw_if_silent() const {
  if (Clock::now() < silent_at()) return;
  throw Error::retry(connection_->server() + " did not confirm a message within " +
                     std::to_string(settings_.timeout.count()) + " ms, with " + std::to_string(in_flight_.size()) +
                     " messages in flight. Too few of a quorum queue's members may be up, or the server hang");
}

}  // namespace tide::rabbitmq
