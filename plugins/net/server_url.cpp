// SPDX-License-Identifier: Apache-2.0
#include "server_url.hpp"

#include <algorithm>
#include <charconv>

#include "tide/sink.hpp"

namespace tide::net {
namespace {

class Parser {
 public:
  explicit Parser(const Schemes& schemes) : schemes_(schemes) {}

  [[nodiscard]] ServerUrl parse(std::string_view text) const {
    ServerUrl url;
    const auto scheme_end = text.find("://");
    if (scheme_end == std::string_view::npos) refuse("it has no scheme");
    const auto scheme = text.substr(0, scheme_end);
    auto rest = text.substr(scheme_end + 3);
    if (schemes_.unix_sockets && scheme == "unix") {
      if (!rest.starts_with('/')) refuse("a Unix socket's path begins with '/'");
      url.local = true;
      url.path = rest;
      url.shown = "unix://" + url.path;
      return url;
    }
    url.tls = scheme == schemes_.tls;
    if (!url.tls && scheme != schemes_.plain) refuse("it has another scheme");

    if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
      const auto user = rest.substr(0, at);
      const auto colon = std::min(user.find(':'), user.size());
      url.username = decoded(user.substr(0, colon));
      if (colon < user.size()) url.password = decoded(user.substr(colon + 1));
      rest.remove_prefix(at + 1);
    }
    if (const auto slash = rest.find('/'); slash != std::string_view::npos) {
      url.has_path = true;
      url.path = decoded(rest.substr(slash + 1));
      rest = rest.substr(0, slash);
    }
    url.port = url.tls ? schemes_.tls_port : schemes_.plain_port;
    set_host_and_port(url, rest);
    const bool v6 = url.host.find(':') != std::string::npos;
    url.shown = std::string(scheme) + "://" + (v6 ? "[" + url.host + "]" : url.host) + ":" + std::to_string(url.port);
    return url;
  }

  [[noreturn]] void refuse(const std::string& why) const {
    throw Error::fatal("url is not valid: " + why + ". Expected " + std::string(schemes_.plain) +
                       "://host:" + std::to_string(schemes_.plain_port) + " or " + std::string(schemes_.tls) +
                       "://host:" + std::to_string(schemes_.tls_port) +
                       (schemes_.unix_sockets ? " or unix:///path" : "") +
                       ", several separated by commas; a special character in user info is written as %XX");
  }

 private:
  void set_host_and_port(ServerUrl& url, std::string_view text) const {
    if (std::any_of(text.begin(), text.end(),
                    [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == '\x7f' || c == '?' || c == '#'; }))
      refuse("the host holds a character that no host has");
    auto colon = text.rfind(':');
    if (text.starts_with('[')) {
      const auto end = text.find(']');
      if (end == std::string_view::npos) refuse("'[' without ']'");
      url.host = text.substr(1, end - 1);
      colon = end + 1 < text.size() && text[end + 1] == ':' ? end + 1 : std::string_view::npos;
    } else {
      url.host = text.substr(0, colon);
    }
    if (url.host.empty()) refuse("it has no host");
    if (colon == std::string_view::npos) return;
    const auto port = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
    if (error != std::errc{} || end != port.data() + port.size() || url.port == 0)
      refuse("the port must be a number from 1 to 65535");
  }

  [[nodiscard]] std::string decoded(std::string_view text) const {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '%') {
        plain += text[i];
        continue;
      }
      std::uint8_t value = 0;
      const auto digits = text.substr(i + 1, 2);
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
      if (digits.size() != 2 || error != std::errc{} || end != digits.data() + 2)
        refuse("a '%' must be followed by two hexadecimal digits");
      plain += static_cast<char>(value);
      i += 2;
    }
    return plain;
  }

  const Schemes& schemes_;
};

}  // namespace

std::vector<ServerUrl> server_urls(std::string_view text, const Schemes& schemes) {
  const Parser parser(schemes);
  std::vector<ServerUrl> servers;
  while (true) {
    const auto comma = std::min(text.find(','), text.size());
    auto one = text.substr(0, comma);
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    servers.push_back(parser.parse(one));
    if (comma == text.size()) break;
    text.remove_prefix(comma + 1);
  }
  const auto& first = servers.front();
  for (const auto& server : servers) {
    if (!server.local && !first.local && server.tls != first.tls)
      parser.refuse("some servers are reached by TLS and some are not: what is secret to some would be told to all");
    if (server.username != first.username || server.password != first.password ||
        (!server.local && !first.local && server.path != first.path))
      parser.refuse("the servers have different user info or paths: they must be replicas of one another");
  }
  return servers;
}

}  // namespace tide::net
