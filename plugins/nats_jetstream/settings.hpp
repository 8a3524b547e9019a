// SPDX-License-Identifier: Apache-2.0
//
// The sink's options: their table, and a pipeline's values of them after every check that needs no network. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "tide/sink.hpp"

namespace tide::nats {

// In the order of the user's reference. sink_type and batch_size belong to the relay.
inline constexpr std::array option_table{
    string_option("url", "NATS server URL(s). Comma-separated for clusters: `nats://host1:4222,nats://host2:4222`",
                  TIDE_OPTION_REQUIRED),
    string_option("subject", "Target subject. Supports templates: `{stream_table}`, `{op}`, `{outbox_id}`",
                  TIDE_OPTION_REQUIRED | TIDE_OPTION_TEMPLATE),
    string_option("stream", "JetStream stream name (auto-detected from subject if not specified)"),
    string_option("credentials_file", "Path to NATS credentials file (.creds)"),
    string_option("nkey_seed", "NKey seed for authentication", TIDE_OPTION_SECRET),
    string_option("token", "Authentication token", TIDE_OPTION_SECRET),
    string_option("username", "Username for user/password auth"),
    string_option("password", "Password for user/password auth", TIDE_OPTION_SECRET),
    bool_option("tls_enabled", "Enable TLS", false),
    string_option("tls_ca_cert", "CA certificate path"),
    string_option("tls_client_cert", "Client certificate path (PEM), for servers that verify their clients"),
    string_option("tls_client_key", "Path of the client certificate's private key (PEM)"),
    string_option("tls_server_name", "Name that the server's certificate must carry, instead of the URL's host"),
    bool_option("create_stream", "Create the stream when none takes the subject; one that exists is never changed",
                false),
    int_option("create_stream_replicas", "Replicas of a stream that is created", "1", 1, 5),
    string_option("js_domain", "JetStream domain, to publish across leaf nodes"),
    string_option("js_api_prefix",
                  "Subject prefix of the JetStream API, where an account imports it under another name"),
    bool_option("exclusive", "The stream belongs to this pipeline alone: its order then holds through every failure",
                false),
};

struct CredentialsFile {
  std::string path;
};
struct NkeySeed {
  std::string seed;
  std::string public_key;
};
struct Token {
  std::string token;
};
struct UserPassword {
  std::string username;
  std::string password;
};
using Authentication = std::variant<std::monostate, CredentialsFile, NkeySeed, Token, UserPassword>;

struct Settings {
  // Throws a fatal Error that names the option. No secret is in it.
  explicit Settings(const Config& config);

  std::vector<std::string> servers;          // "nats://host:port", without user info
  std::vector<std::string> subject_filters;  // what the subject can become, by each of the templates that it can have
  std::string stream;                        // empty: found by subject
  Authentication authentication;
  bool tls = false;
  std::string tls_ca_cert;
  std::string tls_client_cert;
  std::string tls_client_key;
  std::string tls_server_name;           // empty: the host of the URL
  std::int64_t new_stream_replicas = 0;  // 0: create none
  std::string api_prefix;                // "$JS.API.", or where else the JetStream API answers
  bool exclusive = false;
  std::string client_name;  // what the server's operator sees

  std::string server_list() const;  // for messages to people
};

}  // namespace tide::nats
