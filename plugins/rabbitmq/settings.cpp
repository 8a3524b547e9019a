// SPDX-License-Identifier: Apache-2.0
#include "settings.hpp"

#include <algorithm>

namespace tide::rabbitmq {
namespace {

constexpr net::Schemes kSchemes{"amqp", 5672, "amqps", 5671, false};
constexpr std::size_t kShortest = 255;  // AMQP's short strings

bool varies(std::string_view text) {
  return text.find(TIDE_UNKNOWN) != std::string_view::npos || text.find(TIDE_UNKNOWN_TOKENS) != std::string_view::npos;
}

}  // namespace

Settings::Settings(const Config& config)
    : servers(net::server_urls(config.text("url"), kSchemes)),
      pipeline(config.pipeline()),
      ordered(config.is_set("order_by")),
      vhost(config.text("vhost")),
      username(config.text("username")),
      password(config.text("password")),
      external(config.text("auth") == "external"),
      envelope(config.text("body") == "envelope"),
      content_type(config.text("content_type")),
      persistent(config.flag("persistent")),
      retry_unroutable(config.text("unroutable") == "retry"),
      max_in_flight(static_cast<std::size_t>(config.integer("max_in_flight"))),
      heartbeat_seconds(static_cast<std::uint16_t>(config.integer("heartbeat_seconds"))),
      timeout(config.integer("timeout_ms")),
      connect_timeout(config.integer("connect_timeout_ms")),
      tls(net::tls_settings(config, servers)) {
  for (const auto text : config.texts("exchange")) {
    if (text.size() > kShortest) throw Error::fatal("exchange is longer than 255 bytes, which AMQP does not allow");
    if (!text.empty() && !varies(text)) fixed_exchanges.emplace_back(text);
  }
  const auto& first = servers.front();
  if (!vhost.empty() && first.has_path && first.path != vhost)
    throw Error::fatal("url names a virtual host, and vhost another: leave one of them out");
  if (vhost.empty()) vhost = first.has_path ? first.path : "/";
  if (!(first.username + first.password).empty()) {
    if (!(username + password).empty())
      throw Error::fatal("url holds a user or a password, and so do username and password: leave one of them out");
    username = first.username;
    password = first.password;
  }
  if (username.empty() != password.empty()) throw Error::fatal("username and password belong together: set both");
  if (username.empty()) username = password = "guest";
  if (external && tls.client_cert.empty())
    throw Error::fatal("auth = \"external\" needs tls_client_cert and tls_client_key, and a url with amqps://");
  if (vhost.size() > kShortest || content_type.size() > kShortest)
    throw Error::fatal("vhost or content_type is longer than 255 bytes, which AMQP does not allow");
}

bool Settings::fixed_exchange(std::string_view exchange) const {
  return exchange.empty() ||
         std::find(fixed_exchanges.begin(), fixed_exchanges.end(), exchange) != fixed_exchanges.end();
}

}  // namespace tide::rabbitmq
