// SPDX-License-Identifier: Apache-2.0
//
// The sink's options and what they come to. Any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "../net/server_url.hpp"
#include "../net/tls.hpp"
#include "stream_shape.hpp"
#include "tide/sink.hpp"

namespace tide::redis {

inline constexpr tide_option option_table[] = {
    string_option("url",
                  "Redis server URL(s): `redis://host:6379`, `rediss://host:6380` for TLS, `unix:///path`; a number "
                  "behind it, `/2`, is the database. Several, separated by commas, are one primary and its replicas",
                  TIDE_OPTION_REQUIRED),
    string_option("stream", "Target stream. Supports templates: `{stream_table}`, `{op}`, `{payload.shop}`",
                  TIDE_OPTION_REQUIRED | TIDE_OPTION_TEMPLATE),
    string_option("username", "Username of the ACL; without it, a password is the default user's"),
    string_option("password", "Password", TIDE_OPTION_SECRET),
    string_option("body",
                  "What an entry holds: the fields `id`, `op` and `payload`, and `header.NAME` for each header "
                  "(`payload`), or `id` and one JSON of all that is known of the event (`envelope`)",
                  0, "payload", "payload|envelope"),
    string_option("payload_field", "The field that holds the payload, or the envelope", 0, "payload"),
    int_option("maxlen", "Entries that a stream keeps; older ones are removed, read or not. 0: all", "0", 0, INT64_MAX),
    string_option("trim", "Whether `maxlen` is kept to the entry (`exact`), or cheaply, with some more (`approximate`)",
                  0, "approximate", "approximate|exact"),
    int_option("remember_ids", "Ids of events that Redis remembers for each stream, so that none is added twice",
               "131072", 16'384, 100'000'000),
    int_option("remember_seconds", "How long it does after the last event of a stream", "604800", 60, 315'360'000),
    int_option("max_in_flight", "Events that are sent and not yet answered", "1024", 1, 16'384),
    int_option("timeout_ms", "Longest silence of a server that owes an answer, in milliseconds", "5000", 1, 600'000),
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

  [[nodiscard]] const StreamShape* shape_of(std::string_view stream) const;

  std::vector<net::ServerUrl> servers;
  std::vector<StreamShape> shapes;
  std::string pipeline;
  std::string username;
  std::string password;
  std::string database;  // its number; empty: 0
  bool envelope;
  std::string payload_field;
  std::string trim;  // MAXLEN's operator; empty: no limit
  std::string maxlen;
  std::string remember_ids;
  std::string remember_seconds;
  std::size_t max_in_flight;
  std::chrono::milliseconds timeout;
  std::chrono::milliseconds connect_timeout;
  net::TlsSettings tls;
};

}  // namespace tide::redis
