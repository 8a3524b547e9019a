// SPDX-License-Identifier: Apache-2.0
//
// The sink's options and what they come to. Any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "../net/server_url.hpp"
#include "../net/tls.hpp"
#include "tide/sink.hpp"

namespace tide::rabbitmq {

inline constexpr tide_option option_table[] = {
    string_option(
        "url",
        "RabbitMQ server URL(s): `amqp://host:5672`, `amqps://host:5671` for TLS; a name behind it, `/shop`, is "
        "the virtual host. Several, separated by commas, are one cluster",
        TIDE_OPTION_REQUIRED),
    string_option("routing_key",
                  "Routing key; with the default exchange the queue's name. Supports templates: `orders.{op}`",
                  TIDE_OPTION_REQUIRED | TIDE_OPTION_TEMPLATE),
    string_option("exchange", "Exchange, which must exist; without it, the default one. Supports templates",
                  TIDE_OPTION_TEMPLATE),
    string_option("order_by",
                  "Events for which this template gives the same, `{payload.customer}`, keep their order through every "
                  "failure: one is sent when the one before it is confirmed. Without it see the document",
                  TIDE_OPTION_TEMPLATE),
    string_option("vhost", "Virtual host; by default the URL's, or `/`"),
    string_option("username", "Username; by default the URL's, or `guest`"),
    string_option("password", "Password; by default the URL's, or `guest`", TIDE_OPTION_SECRET),
    string_option("auth",
                  "How to log in: with username and password (`plain`), or as the client certificate says "
                  "(`external`)",
                  0, "plain", "plain|external"),
    string_option("body",
                  "What a message holds: the `payload`, or one JSON of all that is known of the event "
                  "(`envelope`)",
                  0, "payload", "payload|envelope"),
    string_option("content_type", "The message's content type, unless the event has a header of that name", 0,
                  "application/json"),
    bool_option("persistent", "Messages outlive a restart of the server, in queues that do", true),
    string_option("unroutable",
                  "What becomes of an event that no queue takes: `reject` makes it a dead letter, `retry` waits until "
                  "one does",
                  0, "reject", "reject|retry"),
    int_option("max_in_flight", "Messages that are sent and not yet confirmed", "1024", 1, 16'384),
    int_option("heartbeat_seconds", "A server that is silent for twice as long is given up. 0: as the server says",
               "10", 0, 600),
    int_option("timeout_ms", "Longest wait for a confirmation, in milliseconds", "30000", 1, 600'000),
    int_option("connect_timeout_ms", "Longest time that a connection may take, in milliseconds", "3000", 1, 60'000),
    string_option("tls_ca_cert", "CA certificate path, instead of the system's"),
    string_option("tls_client_cert", "Client certificate path (PEM)"),
    string_option("tls_client_key", "Path of the client certificate's private key (PEM)"),
    string_option("tls_server_name", "Name that the server's certificate must carry, instead of the URL's host"),
    bool_option("tls_verify", "Verify the server's certificate. `false` is for tests: anybody may then read along",
                true),
};

struct Settings {
  explicit Settings(const Config& config);  // throws a fatal Error

  // The exchange that every event goes to, or each of those that routes choose; an event names no other.
  [[nodiscard]] bool fixed_exchange(std::string_view exchange) const;

  std::vector<net::ServerUrl> servers;
  std::string pipeline;
  std::vector<std::string> fixed_exchanges;  // without the default one
  bool ordered;                              // order_by is set
  std::string vhost;
  std::string username;
  std::string password;
  bool external;
  bool envelope;
  std::string content_type;
  bool persistent;
  bool retry_unroutable;
  std::size_t max_in_flight;
  std::uint16_t heartbeat_seconds;
  std::chrono::milliseconds timeout;
  std::chrono::milliseconds connect_timeout;
  net::TlsSettings tls;
};

}  // namespace tide::rabbitmq
