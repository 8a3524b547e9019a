// SPDX-License-Identifier: Apache-2.0
#include "settings.hpp"

#include <simdjson.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>

#include "servers.hpp"

namespace tide::kafka {
namespace {

// What may be tuned. A pipeline may be set by somebody who has no business on this host, and there are properties that
// load libraries, run commands and read files; others are this sink's own promise.
constexpr std::array kTunable = {"allow.auto.create.topics",
                                 "batch.num.messages",
                                 "batch.size",
                                 "broker.address.family",
                                 "broker.address.ttl",
                                 "client.id",
                                 "client.rack",
                                 "compression.level",
                                 "connections.max.idle.ms",
                                 "debug",
                                 "max.in.flight.requests.per.connection",
                                 "metadata.max.age.ms",
                                 "reconnect.backoff.max.ms",
                                 "reconnect.backoff.ms",
                                 "request.timeout.ms",
                                 "retry.backoff.ms",
                                 "socket.connection.setup.timeout.ms",
                                 "socket.keepalive.enable",
                                 "socket.nagle.disable",
                                 "socket.receive.buffer.bytes",
                                 "socket.send.buffer.bytes",
                                 "socket.timeout.ms",
                                 "ssl.cipher.suites",
                                 "ssl.curves.list",
                                 "ssl.sigalgs.list",
                                 "sticky.partitioning.linger.ms",
                                 "topic.metadata.propagation.max.ms",
                                 "topic.metadata.refresh.fast.interval.ms",
                                 "topic.metadata.refresh.interval.ms"};

using Properties = std::vector<std::pair<std::string, std::string>>;

void add_tuned(Properties& properties, std::string_view json) {
  if (json.empty()) return;
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  if (parser.parse(simdjson::padded_string(json)).get(object) != simdjson::SUCCESS)
    throw Error::fatal("properties must be an object: {\"socket.keepalive.enable\": true}");
  for (const auto& [key, value] : object) {
    const std::string name(key);
    if (std::find(kTunable.begin(), kTunable.end(), name) == kTunable.end()) {
      std::string all;
      for (const auto* tunable : kTunable) all += (all.empty() ? "" : ", ") + std::string(tunable);
      throw Error::fatal("properties: '" + name + "' can't be set there. These can: " + all);
    }
    if (value.is_string())
      properties.emplace_back(name, std::string_view(value));
    else if (value.is_object() || value.is_array() || value.is_null())
      throw Error::fatal("properties: the value of " + name + " must be a string, a number or a boolean");
    else
      properties.emplace_back(name, simdjson::minify(value));
  }
}

void require_readable(std::string_view path, const std::string& option) {
  if (!path.empty() && ::access(std::string(path).c_str(), R_OK) != 0)
    throw Error::fatal("cannot read " + option + " '" + std::string(path) + "': " + std::strerror(errno) +
                       ". Check the path and its permissions.");
}

void add_security(Properties& properties, const Config& config, const std::string& named) {
  const auto text = [&](std::string_view option) { return std::string(config.text(option)); };
  const bool sasl = !text("username").empty();
  if (sasl == text("password").empty())
    throw Error::fatal("username and password belong together: set both, or neither");
  for (const auto* option : {"tls_ca_cert", "tls_client_cert", "tls_client_key"})
    require_readable(config.text(option), option);
  if (text("tls_client_cert").empty() != text("tls_client_key").empty())
    throw Error::fatal("tls_client_cert and tls_client_key belong together: set both, or neither");
  // Whoever gives a certificate wants TLS: never talk in the clear then.
  const bool tls = config.flag("tls_enabled") || !text("tls_ca_cert").empty() || !text("tls_client_cert").empty() ||
                   named.ends_with("SSL");
  const std::string protocol = std::string(sasl ? "SASL_" : "") + (tls ? "SSL" : "PLAINTEXT");
  if (!named.empty() && named != protocol)
    throw Error::fatal("brokers says " + named + "://, and the other options come to " + protocol +
                       ": set username and password for SASL, and a tls_… option for TLS");
  properties.emplace_back("security.protocol", protocol);
  if (sasl) {
    properties.emplace_back("sasl.mechanism", text("sasl_mechanism"));
    properties.emplace_back("sasl.username", text("username"));
    properties.emplace_back("sasl.password", text("password"));
  }
  if (!tls) return;
  const auto add = [&](const char* property, const char* option) {
    if (auto path = text(option); !path.empty()) properties.emplace_back(property, std::move(path));
  };
  add("ssl.ca.location", "tls_ca_cert");
  add("ssl.certificate.location", "tls_client_cert");
  add("ssl.key.location", "tls_client_key");
  const bool verify = config.flag("tls_verify");
  properties.emplace_back("enable.ssl.certificate.verification", verify ? "true" : "false");
  properties.emplace_back("ssl.endpoint.identification.algorithm", verify ? "https" : "none");
}

std::string client_id(std::string_view pipeline) {
  std::string id = "tide-relay-";
  for (const char c : pipeline) id += std::isgraph(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return id;
}

}  // namespace

bool is_topic(std::string_view name) {
  return !name.empty() && name.size() <= 249 && name != "." && name != ".." &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-'; });
}

Settings::Settings(const Config& config)
    : keyed(config.is_set("key")),
      max_message_bytes(static_cast<std::size_t>(config.integer("max_message_bytes"))),
      delivery_timeout(config.integer("delivery_timeout_ms")) {
  const Servers servers(config.text("brokers"));
  brokers = servers.list;
  for (const auto text : config.texts("topic")) {
    std::string shape(text);
    bool varies = false;
    for (char& c : shape) {
      if (c != TIDE_UNKNOWN && c != TIDE_UNKNOWN_TOKENS) continue;
      c = 'x';
      varies = true;
    }
    if (!is_topic(shape))
      throw Error::fatal("topic '" + shape +
                         "' is no topic's name: letters, digits, '.', '_' and '-' make one, at most 249");
    if (!varies) fixed_topics.emplace_back(text);
  }

  const auto number = [](auto n) { return std::to_string(n); };
  properties = {
      {"bootstrap.servers", brokers},
      {"client.id", client_id(config.pipeline())},
      // What is retried within a connection is stored once and in order.
      {"enable.idempotence", "true"},
      {"acks", "all"},
      {"max.in.flight.requests.per.connection", "5"},
      // When a batch is refused for good, nothing that stands behind it may be sent: it could have to come first.
      {"enable.gapless.guarantee", "true"},
      // Never given up one by one, for the same reason: the sink gives up the connection.
      {"message.timeout.ms", "0"},
      {"partitioner", std::string(config.text("partitioner"))},
      {"compression.type", std::string(config.text("compression"))},
      {"linger.ms", number(config.integer("linger_ms"))},
      {"message.max.bytes", number(max_message_bytes)},
      {"batch.size", number(std::min<std::size_t>(max_message_bytes, 1'000'000))},
      {"queue.buffering.max.messages", number(2 * kMostInFlight)},
      {"queue.buffering.max.kbytes", number(std::max<std::size_t>(64 * 1024, max_message_bytes / 1024 + 1024))},
      // A topic that is not there is told well before: librdkafka looks each second.
      {"topic.metadata.propagation.max.ms",
       number(std::clamp<std::int64_t>(delivery_timeout.count() / 2 - 1000, 0, 10'000))},
      {"socket.keepalive.enable", "true"},
      {"log.queue", "true"},
      {"log.connection.close", "false"},
  };
  add_security(properties, config, servers.protocol);
  add_tuned(properties, config.text("properties"));
}

bool Settings::topic_varies(std::string_view topic) const {
  return std::find(fixed_topics.begin(), fixed_topics.end(), topic) == fixed_topics.end();
}

}  // namespace tide::kafka
