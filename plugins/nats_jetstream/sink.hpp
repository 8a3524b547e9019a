// SPDX-License-Identifier: Apache-2.0
//
// The sink "nats": publishes a pipeline's events into JetStream, many in flight, and hands over the acknowledgements.
// The relay serialises the calls.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "ack.hpp"
#include "connection.hpp"
#include "in_flight.hpp"
#include "message.hpp"
#include "settings.hpp"
#include "tide/sink.hpp"

namespace tide::nats {

class JetStreamSink {
 public:
  static constexpr SinkInfo info{.id = "nats_jetstream",
                                 .sink_types = "nats",
                                 .version = TIDE_PLUGIN_VERSION,
                                 .description = "Publishes to NATS JetStream, with Nats-Msg-Id for deduplication",
                                 .capabilities = TIDE_CAP_DEDUPLICATES | TIDE_CAP_ORDERED,
                                 .options = option_table};

  JetStreamSink(Host host, const Config& config);

  std::size_t publish(const Batch& batch);
  void ack(Results& results, std::chrono::milliseconds timeout);

 private:
  JetStreamSink(Host host, const Settings& settings, Clock::time_point deadline);

  bool full() const;
  void accept(const tide_message& event, std::size_t max_payload, Clock::time_point now);

  void hand_over_refused(Results& results);
  void collect(Results& results);
  void add_result(Results& results, const InFlight::Entry& entry, std::string_view answer);
  void settle_no_responders(Results& results);
  Clock::time_point silence_limit() const;
  void throw_if_silent() const;

  struct Refused {
    std::uint64_t token;
    std::string why;
  };

  Connection connection_;
  std::string stream_;          // the `stream` option
  std::string subject_filter_;  // for advice
  MessageMaker maker_;
  AckReader acks_;
  InFlight in_flight_;
  std::deque<Refused> refused_;      // accepted, never sent: rejected at the next ack
  std::uint64_t no_responders_ = 0;  // answers of that kind that are not yet matched with messages
  Clock::time_point last_answer_{};
  std::string subject_;  // NUL-terminated copies, kept for their memory
  std::string reply_;
};

}  // namespace tide::nats
