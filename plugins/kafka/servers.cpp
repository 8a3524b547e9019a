// SPDX-License-Identifier: Apache-2.0
#include "servers.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "tide/sink.hpp"

namespace tide::kafka {
namespace {

constexpr std::array kProtocols = {"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// A name or an address, an IPv6 one in brackets, and a port, or Kafka's usual one.
bool is_address(std::string_view text) {
  const auto closing = text.starts_with('[') ? text.find(']') : std::string_view::npos;
  const auto colon = text.find(':', closing == std::string_view::npos ? 0 : closing);
  const auto host = text.substr(0, colon);
  if (host.empty() || (text.starts_with('[') && !host.ends_with(']'))) return false;
  if (std::any_of(host.begin(), host.end(),
                  [](unsigned char c) { return std::isgraph(c) == 0 || c == '/' || c == '@'; }))
    return false;
  if (colon == std::string_view::npos) return true;
  const auto port = text.substr(colon + 1);
  unsigned number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  return error == std::errc() && end == port.data() + port.size() && number > 0 && number < 65536;
}

}  // namespace

Servers::Servers(std::string_view text) {
  bool first = true;
  for (std::size_t at = 0; at <= text.size(); first = false) {
    const auto comma = std::min(text.find(',', at), text.size());
    auto server = trimmed(text.substr(at, comma - at));
    at = comma + 1;
    std::string its_protocol;
    if (const auto slashes = server.find("://"); slashes != std::string_view::npos) {
      for (const char c : server.substr(0, slashes))
        its_protocol += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      server.remove_prefix(slashes + 3);
      if (std::find(kProtocols.begin(), kProtocols.end(), its_protocol) == kProtocols.end())
        throw Error::fatal("brokers: '" + its_protocol +
                           "://' is none of PLAINTEXT://, SSL://, SASL_PLAINTEXT:// and SASL_SSL://");
    }
    if (!is_address(server))
      throw Error::fatal(server.find('@') != std::string_view::npos  // what stands before it may be a password
                             ? "brokers: one holds an '@': write host:port, and name the user in username and password"
                             : "brokers: '" + std::string(server) +
                                   "' is no broker: write host:port, separated by commas");
    if (!first && its_protocol != protocol)
      throw Error::fatal("brokers: all of them must be reached in one way, with the same word before '://', or none");
    protocol = its_protocol;
    list += (first ? "" : ",") + std::string(server);
  }
}

}  // namespace tide::kafka
