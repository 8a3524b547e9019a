// SPDX-License-Identifier: Apache-2.0
//
// The sink "rabbitmq": publishes events to exchanges, many in flight, and hands over the server's confirmations. The
// relay serialises the calls.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "connection.hpp"
#include "in_flight.hpp"
#include "message.hpp"
#include "settings.hpp"
#include "tide/sink.hpp"

namespace tide::rabbitmq {

class RabbitSink {
 public:
  static constexpr SinkInfo info{.id = "rabbitmq",
                                 .sink_types = "rabbitmq",
                                 .version = TIDE_PLUGIN_VERSION,
                                 .description = "Publishes to RabbitMQ (AMQP 0-9-1), with publisher confirms",
                                 .options = option_table};

  RabbitSink(Host host, const Config& config);
  RabbitSink(const RabbitSink&) = delete;
  RabbitSink& operator=(const RabbitSink&) = delete;

  std::size_t publish(const Batch& batch);
  void ack(Results& results, std::chrono::milliseconds timeout);

 private:
  struct Done {
    std::uint64_t token;
    std::int32_t status;
    std::string error;
    std::uint16_t code;
  };

  [[nodiscard]] bool full() const;
  bool accept(const tide_message& event);  // false: not now
  void take(const Confirmed& confirmed);
  void take(const Returned& returned);
  void take(const ChannelClosed& closed);
  void take(const ChannelOpened& opened);
  void take(const Blocked& blocked);
  void take(const Unblocked& unblocked);
  void settle(const InFlight::Entry& entry, std::int32_t status, std::string why, std::uint16_t code);
  void hand_over(Results& results);
  [[nodiscard]] Clock::time_point silent_at() const;
  void throw_if_silent() const;
  [[nodiscard]] std::string place(const InFlight::Entry& entry) const;

  Host host_;
  const Settings settings_;
  std::unique_ptr<Connection> connection_;
  MessageMaker maker_;
  InFlight in_flight_;
  std::deque<Done> done_;
  bool open_ = true;      // the channel
  bool blocked_ = false;  // the server takes nothing for now
  Clock::time_point unblocked_{};
  bool failed_ = false;  // some must be sent again, of which the relay has not heard yet
};

}  // namespace tide::rabbitmq
