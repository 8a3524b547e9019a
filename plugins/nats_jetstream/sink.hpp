// SPDX-License-Identifier: Apache-2.0
//
// The sink "nats": publishes a pipeline's events into JetStream, many in flight, and hands over the acknowledgements.
// The relay serialises the calls.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "ack.hpp"
#include "connection.hpp"
#include "held_keys.hpp"
#include "in_flight.hpp"
#include "message.hpp"
#include "sequence_chain.hpp"
#include "settings.hpp"
#include "stream.hpp"
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
  ~JetStreamSink();
  JetStreamSink(const JetStreamSink&) = delete;
  JetStreamSink& operator=(const JetStreamSink&) = delete;

  std::size_t publish(const Batch& batch);
  void ack(Results& results, std::chrono::milliseconds timeout);

 private:
  JetStreamSink(Host host, const Settings& settings, std::uint64_t position, Clock::time_point deadline);

  void know_stream(const std::vector<Stream>& streams, const Settings& settings, std::uint64_t position);

  const std::string& filter_taking(std::string_view subject) const;
  bool full() const;
  bool blocked() const;  // by a question to JetStream that comes before any publish
  void accept(const tide_message& event, std::size_t max_payload, Clock::time_point now);

  std::uint64_t position(std::uint64_t sequence) const;
  void hand_over_known(Results& results);
  void ask_for_last_sequence();
  void pump(std::chrono::milliseconds timeout);
  void collect(Results& results);
  void take_answer(const Reply& reply);
  void add_result(Results& results, const InFlight::Entry& entry, std::string_view answer);
  void chain(const Verdict& verdict);
  void settle_no_responders(Results& results);
  Clock::time_point silence_limit() const;
  void throw_if_silent() const;
  void leave_if_told() const;

  // A result that needs no answer: never sent, because it can't be, or because the stream has it.
  struct Known {
    std::uint64_t token;
    std::uint64_t sequence;  // 0: it is rejected
    std::string why;
  };

  Host host_;
  Connection connection_;
  std::string stream_;  // the `stream` option, or what its place takes; may be empty
  std::vector<std::string> subject_filters_;
  MessageMaker maker_;
  AckReader acks_;
  InFlight in_flight_;
  std::deque<Known> known_;                // accepted, handed over at the next ack
  bool counts_ = false;                    // one stream's sequences are this sink's positions
  std::optional<std::uint64_t> standing_;  // to be told by the first ack
  std::optional<HeldKeys> held_;           // until nothing is in doubt any more
  std::optional<SequenceChain> chain_;     // where the stream is exclusive
  bool resyncing_ = false;                 // asked for the last sequence
  Clock::time_point asked_{};              // the last question that blocks publishing
  bool quiet_ = false;                     // nothing was published since the last ack
  std::uint64_t no_responders_ = 0;        // answers of that kind that are not yet matched with messages
  Clock::time_point last_answer_{};
  std::string subject_;  // NUL-terminated copies, kept for their memory
  std::string reply_;
};

}  // namespace tide::nats
