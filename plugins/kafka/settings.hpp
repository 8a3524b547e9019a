// SPDX-License-Identifier: Apache-2.0
//
// The sink's options, and what they come to: librdkafka's properties. Any thread.
#pragma once

#include <array>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "tide/sink.hpp"

namespace tide::kafka {

inline constexpr std::array option_table{
    string_option("brokers",
                  "Brokers to begin with, separated by commas: `kafka1:9092,kafka2:9092`; they name the others",
                  TIDE_OPTION_REQUIRED),
    string_option("topic", "Topic. Supports templates: `{stream_table}`, `{op}`, `{payload.kind}`",
                  TIDE_OPTION_REQUIRED | TIDE_OPTION_TEMPLATE),
    string_option("key",
                  "The record's key, which chooses its partition, and so what keeps an order: `{payload.customer}`. "
                  "Without it, the event's own key, which is another for each event",
                  TIDE_OPTION_TEMPLATE | TIDE_OPTION_VERBATIM),
    string_option("partitioner",
                  "How the key chooses the partition: as Java's clients do (`murmur2_random`), or those that build on "
                  "librdkafka (`consistent_random`)",
                  0, "murmur2_random", "murmur2_random|consistent_random|fnv1a_random"),
    string_option("compression", "How batches of records are compressed", 0, "none", "none|gzip|snappy|lz4|zstd"),
    int_option("linger_ms", "How long a record waits for others to share its batch, in milliseconds", "5", 0, 10'000),
    int_option("max_message_bytes", "Largest record, and largest batch; not above the topic's `max.message.bytes`",
               "1000000", 1'000, 1'000'000'000),
    int_option("delivery_timeout_ms",
               "How long a record is tried before the connection is given up, in milliseconds. Only what is tried "
               "again after that can be stored twice",
               "30000", 1'000, 3'600'000),
    string_option("sasl_mechanism", "SASL mechanism by which `username` and `password` are shown", 0, "PLAIN",
                  "PLAIN|SCRAM-SHA-256|SCRAM-SHA-512"),
    string_option("username", "User for SASL"),
    string_option("password", "Password for SASL", TIDE_OPTION_SECRET),
    bool_option("tls_enabled", "Enable TLS", false),
    string_option("tls_ca_cert", "CA certificate path, instead of the system's"),
    string_option("tls_client_cert", "Client certificate path (PEM)"),
    string_option("tls_client_key", "Path of the client certificate's private key (PEM)"),
    bool_option("tls_verify", "Verify the brokers' certificates. `false` is for tests: anybody may then read along",
                true),
    tide_option{"properties", TIDE_TYPE_JSON, 0, nullptr,
                "More of librdkafka's properties: `{\"broker.address.family\": \"v4\"}`", 0, 0, nullptr},
};

struct Settings {
  explicit Settings(const Config& config);  // throws a fatal Error

  // Whether events say the topic, or part of it.
  [[nodiscard]] bool topic_varies(std::string_view topic) const;

  std::string brokers;
  std::vector<std::string> fixed_topics;
  bool keyed;  // key is set
  std::size_t max_message_bytes;
  std::chrono::milliseconds delivery_timeout;
  std::vector<std::pair<std::string, std::string>> properties;  // librdkafka's, the password among them
};

// More in flight gains no throughput.
inline constexpr std::size_t kMostInFlight = 10'000;

bool is_topic(std::string_view name);

}  // namespace tide::kafka
