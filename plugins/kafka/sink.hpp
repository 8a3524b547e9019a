// SPDX-License-Identifier: Apache-2.0
//
// The sink "kafka": hands events to an idempotent producer, many in flight, and reports on them. Once one of them has
// to be sent again, nothing that may have to stand behind it is taken. The relay serialises the calls.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>

#include "in_flight.hpp"
#include "producer.hpp"
#include "settings.hpp"
#include "tide/sink.hpp"

namespace tide::kafka {

using Clock = std::chrono::steady_clock;

class KafkaSink {
 public:
  static constexpr SinkInfo info{.id = "kafka",
                                 .sink_types = "kafka",
                                 .version = TIDE_PLUGIN_VERSION,
                                 .description = "Produces records to Apache Kafka, idempotently and in order",
                                 .options = option_table};

  KafkaSink(Host host, const Config& config);

  std::size_t publish(const Batch& batch);
  void ack(Results& results, std::chrono::milliseconds timeout);

 private:
  struct Done {
    std::uint64_t token;
    std::int32_t status;
    std::string error;
    std::int64_t code;
  };

  bool takes_more() const;
  bool accept(const tide_message& event);
  void pump(std::chrono::milliseconds timeout);
  void report(const rd_kafka_message_t& record);
  void settle(std::uint64_t token, std::string_view topic, rd_kafka_resp_err_t error, std::string_view key, bool alone);
  void put(std::uint64_t token, std::int32_t status, std::string error = {}, std::int64_t code = 0);
  void mend();
  void throw_if_overdue() const;

  Host host_;
  const Settings settings_;
  std::optional<Producer> producer_;
  InFlight in_flight_;
  bool alone_ = false;                           // what is in flight is one suspect, and nothing may join it
  std::set<std::string, std::less<>> suspects_;  // keys of events whose batch was refused: each is sent alone
  std::deque<Done> done_;
  std::size_t held_up_ = 0;  // of those, to be sent again
};

}  // namespace tide::kafka
