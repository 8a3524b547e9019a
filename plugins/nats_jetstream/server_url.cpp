// SPDX-License-Identifier: Apache-2.0
#include "server_url.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "tide/sink.hpp"

namespace tide::nats {
namespace {

constexpr std::uint16_t default_port = 4222;

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

// Says nothing of the URL itself: with a stray ',' or '@' any part of it can be a password.
[[noreturn]] void refuse(const std::string& why) {
  throw Error::fatal(
      "url is not valid: " + why +
      ". Expected nats://host:4222 or tls://host:4222, several separated by commas; a special character in "
      "user info is written as %XX");
}

std::string percent_decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    std::uint8_t value = 0;
    const auto digits = text.substr(i + 1, 2);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (digits.size() != 2 || error != std::errc{} || end != digits.data() + 2)
      refuse("in the user info a '%' must be followed by two hexadecimal digits");
    decoded += static_cast<char>(value);
    i += 2;
  }
  return decoded;
}

std::uint16_t port_number(std::string_view port) {
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc{} || end != port.data() + port.size() || number == 0)
    refuse("the port must be a number from 1 to 65535");
  return number;
}

// White space and control characters, too: an address is shown on one line.
bool ends_authority(char c) {
  return static_cast<unsigned char>(c) <= ' ' || c == '\x7f' || c == '/' || c == '?' || c == '#';
}

ServerUrl parse(std::string_view text) {
  ServerUrl url;
  const auto scheme_end = text.find("://");
  std::string_view rest = scheme_end == std::string_view::npos ? text : text.substr(scheme_end + 3);
  const auto at = rest.rfind('@');
  std::string_view authority = at == std::string_view::npos ? rest : rest.substr(at + 1);

  if (scheme_end != std::string_view::npos) {
    const auto scheme = text.substr(0, scheme_end);
    if (scheme != "nats" && scheme != "tls") refuse("the scheme must be nats or tls");
    url.tls = scheme == "tls";
  }
  if (at != std::string_view::npos) {
    const auto user_info = rest.substr(0, at);
    const auto colon = user_info.find(':');
    url.username = percent_decoded(user_info.substr(0, colon));
    if (colon != std::string_view::npos) url.password = percent_decoded(user_info.substr(colon + 1));
  }

  if (authority.ends_with('/')) authority.remove_suffix(1);
  if (std::any_of(authority.begin(), authority.end(), ends_authority)) refuse("only a host and a port may stand there");
  const bool bracketed = authority.starts_with('[');
  const auto host_end = authority.find(bracketed ? ']' : ':');
  if (bracketed && host_end == std::string_view::npos) refuse("the ']' is missing");
  const auto host = authority.substr(0, bracketed ? host_end + 1 : host_end);
  const auto name = bracketed ? host.substr(1, host.size() - 2) : host;
  if (name.empty()) refuse("the host is missing");
  const auto after = authority.substr(host.size());
  if (name.find_first_of("[]") != std::string_view::npos || !(after.empty() || after.starts_with(':')))
    refuse("brackets stand around an IPv6 address, and nothing else");
  const auto port = after.empty() ? default_port : port_number(after.substr(1));
  url.address.append("nats://").append(host).append(":").append(std::to_string(port));
  return url;
}

}  // namespace

std::vector<ServerUrl> parse_server_urls(std::string_view list) {
  std::vector<ServerUrl> urls;
  for (std::string_view rest = list;;) {
    const auto comma = rest.find(',');
    urls.push_back(parse(trimmed(rest.substr(0, comma))));
    if (comma == std::string_view::npos) return urls;
    rest = rest.substr(comma + 1);
  }
}

}  // namespace tide::nats
