// SPDX-License-Identifier: Apache-2.0
#include "settings.hpp"

#include <simdjson.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>

#include "signature.hpp"

namespace tide::webhook {
namespace {

Body body_of(std::string_view text) {
  if (text == "envelope") return Body::envelope;
  if (text == "array") return Body::array;
  return text == "ndjson" ? Body::ndjson : Body::payload;
}

std::vector<std::pair<std::string, std::string>> headers_of(std::string_view json) {
  std::vector<std::pair<std::string, std::string>> headers;
  if (json.empty()) return headers;
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  if (parser.parse(simdjson::padded_string(json)).get(object) != simdjson::SUCCESS)
    throw Error::fatal("headers must be an object: {\"Authorization\": \"Bearer …\"}");
  for (const auto& [name, value] : object) {
    std::string_view text;
    if (value.get(text) != simdjson::SUCCESS)
      throw Error::fatal("headers: the value of " + std::string(name) + " must be a string");
    if (!is_header_name(name)) throw Error::fatal("headers: '" + std::string(name) + "' is no header's name");
    if (!is_header_value(text))
      throw Error::fatal("headers: the value of " + std::string(name) +
                         " holds a line end or another control character");
    if (is_reserved_header(name) && !same_header(name, "Authorization") && !same_header(name, "Cookie"))
      throw Error::fatal("headers: " + std::string(name) + " is set by the relay itself");
    headers.emplace_back(name, text);
  }
  return headers;
}

}  // namespace

bool same_header(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

bool is_reserved_header(std::string_view name) {
  constexpr std::array reserved = {"Host",
                                   "Content-Length",
                                   "Transfer-Encoding",
                                   "Connection",
                                   "Keep-Alive",
                                   "Upgrade",
                                   "TE",
                                   "Trailer",
                                   "Expect",
                                   "Authorization",
                                   "Cookie",
                                   "Forwarded",
                                   "Proxy-Authorization",
                                   "Proxy-Connection",
                                   "Idempotency-Key"};
  constexpr std::array begun = {"webhook-", "X-Forwarded-", ":"};
  return std::any_of(reserved.begin(), reserved.end(), [&](const char* r) { return same_header(name, r); }) ||
         std::any_of(begun.begin(), begun.end(),
                     [&](std::string_view b) { return same_header(name.substr(0, b.size()), b); });
}

bool is_header_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || std::strchr("!#$%&'*+-.^_`|~", c) != nullptr;
  });
}

bool is_header_value(std::string_view value) {
  return std::none_of(value.begin(), value.end(), [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; });
}

Settings::Settings(const Config& config)
    : method(config.text("method")),
      body(body_of(config.text("body"))),
      headers(headers_of(config.text("headers"))),
      concurrency(static_cast<std::size_t>(config.integer("concurrency"))),
      ordered(config.is_set("order_by")),
      timeout(config.integer("timeout_ms")),
      connect_timeout(config.integer("connect_timeout_ms")),
      tls_ca_cert(config.text("tls_ca_cert")),
      tls_client_cert(config.text("tls_client_cert")),
      tls_client_key(config.text("tls_client_key")),
      tls_verify(config.flag("tls_verify")) {
  for (const auto text : config.texts("url")) shapes.emplace_back(text);
  // One that fits exactly is meant.
  std::stable_partition(shapes.begin(), shapes.end(), [](const UrlShape& shape) { return !shape.varies(); });
  for (const auto* option : {"secret", "previous_secret"})
    if (const auto text = config.text(option); !text.empty()) secrets.push_back(secret_bytes(text, option));
  if (config.text("secret").empty() && !secrets.empty()) throw Error::fatal("previous_secret is set without secret");
  if (tls_client_cert.empty() != tls_client_key.empty())
    throw Error::fatal("tls_client_cert and tls_client_key belong together: set both, or neither");
  const bool tls = !tls_ca_cert.empty() || !tls_client_cert.empty();
  for (const auto& shape : shapes)
    if (tls && !shape.tls())
      throw Error::fatal("tls_… options are set, and url is " + shape.origin() + ", without TLS: use https://");
  for (const auto& [path, option] : {std::pair(&tls_ca_cert, "tls_ca_cert"),
                                     {&tls_client_cert, "tls_client_cert"},
                                     {&tls_client_key, "tls_client_key"}})
    if (!path->empty() && ::access(path->c_str(), R_OK) != 0)
      throw Error::fatal("cannot read " + std::string(option) + " '" + *path + "': " + std::strerror(errno) +
                         ". Check the path and its permissions.");
}

const UrlShape* Settings::shape_of(std::string_view url) const {
  const auto found = std::find_if(shapes.begin(), shapes.end(), [&](const UrlShape& s) { return s.takes(url); });
  return found == shapes.end() ? nullptr : &*found;
}

}  // namespace tide::webhook
