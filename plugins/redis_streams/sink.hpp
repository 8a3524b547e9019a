// SPDX-License-Identifier: Apache-2.0
//
// The sink "redis_streams": adds events to Redis Streams, many in flight, each once (see script.hpp). The relay
// serialises the calls.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "chains.hpp"
#include "connection.hpp"
#include "settings.hpp"
#include "tide/sink.hpp"

namespace tide::redis {

class RedisSink {
 public:
  static constexpr SinkInfo info{.id = "redis_streams",
                                 .sink_types = "redis_streams",
                                 .version = TIDE_PLUGIN_VERSION,
                                 .description = "Adds to Redis Streams, each event once",
                                 .capabilities = TIDE_CAP_DEDUPLICATES | TIDE_CAP_ORDERED,
                                 .options = option_table};

  RedisSink(Host host, const Config& config);

  std::size_t publish(const Batch& batch);
  void ack(Results& results, std::chrono::milliseconds timeout);

 private:
  // What was sent, in its order. Without a token: a command of our own.
  struct InFlight {
    std::uint64_t token;
    std::string stream;
    bool fixed_stream;
    std::size_t bytes;
    Clock::time_point sent;
  };
  struct Done {
    std::uint64_t token;
    std::int32_t status;
    bool duplicate;
    std::string error;
  };

  [[nodiscard]] bool full() const;
  void accept(const tide_message& event);
  std::string why_unsendable(const tide_message& event, std::string_view stream) const;
  void send_own(const Connection::Command& command);
  void take_replies();
  void take(const InFlight& sent, const Reply& reply);
  void fail(const InFlight& sent, std::string_view error);
  void hand_over(Results& results);
  void keep_alive();
  void throw_if_silent() const;

  Host host_;
  const Settings settings_;
  std::unique_ptr<Connection> connection_;
  Chains chains_;
  std::deque<InFlight> in_flight_;
  std::size_t bytes_ = 0;  // in flight
  std::deque<Done> done_;
  Clock::time_point heard_;
  bool script_missing_ = false;
  std::string failure_;   // why the first was not stored of those that must be sent again; empty: none
  std::string demotion_;  // what was said by a server that has become a replica
  std::string envelope_;  // kept for its memory
};

}  // namespace tide::redis
