// SPDX-License-Identifier: Apache-2.0
#include "settings.hpp"

#include <algorithm>
#include <cctype>

namespace tide::redis {
namespace {

constexpr net::Schemes kSchemes{"redis", 6379, "rediss", 6380, true};

// Where a URL names it; a Unix socket's path is a path.
std::string database_of(const std::vector<net::ServerUrl>& servers) {
  const auto named = std::find_if(servers.begin(), servers.end(), [](const auto& s) { return !s.local; });
  if (named == servers.end()) return {};
  const auto& path = named->path;
  if (path.size() > 9 || !std::all_of(path.begin(), path.end(), [](unsigned char c) { return std::isdigit(c) != 0; }))
    throw Error::fatal("url is not valid: behind the host stands a database's number: redis://host:6379/2");
  return path;
}

}  // namespace

Settings::Settings(const Config& config)
    : servers(net::server_urls(config.text("url"), kSchemes)),
      pipeline(config.pipeline()),
      username(config.text("username")),
      password(config.text("password")),
      database(database_of(servers)),
      envelope(config.text("body") == "envelope"),
      payload_field(config.text("payload_field")),
      trim(config.integer("maxlen") == 0    ? ""
           : config.text("trim") == "exact" ? "="
                                            : "~"),
      maxlen(std::to_string(config.integer("maxlen"))),
      remember_ids(std::to_string(config.integer("remember_ids"))),
      remember_seconds(std::to_string(config.integer("remember_seconds"))),
      max_in_flight(static_cast<std::size_t>(config.integer("max_in_flight"))),
      timeout(config.integer("timeout_ms")),
      connect_timeout(config.integer("connect_timeout_ms")),
      tls(net::tls_settings(config, servers)) {
  for (const auto text : config.texts("stream")) shapes.emplace_back(text);
  // One that fits exactly is meant.
  std::stable_partition(shapes.begin(), shapes.end(), [](const StreamShape& shape) { return !shape.varies(); });
  const auto& first = servers.front();
  if (!(first.username + first.password).empty()) {
    if (!(username + password).empty())
      throw Error::fatal("url holds a user or a password, and so do username and password: leave one of them out");
    username = first.username;
    password = first.password;
  }
  if (!username.empty() && password.empty()) throw Error::fatal("username is set without password");
  if (payload_field.empty() || payload_field == "id" || payload_field == "op" || payload_field.starts_with("header."))
    throw Error::fatal("payload_field must be the name of a field other than id, op and header.…");
}

const StreamShape* Settings::shape_of(std::string_view stream) const {
  const auto found = std::find_if(shapes.begin(), shapes.end(), [&](const auto& s) { return s.takes(stream); });
  return found == shapes.end() ? nullptr : &*found;
}

}  // namespace tide::redis
