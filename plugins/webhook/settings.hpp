// SPDX-License-Identifier: Apache-2.0
//
// The sink's options and what they come to. Any thread.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "tide/sink.hpp"
#include "url_shape.hpp"

namespace tide::webhook {

inline constexpr tide_option option_table[] = {
    string_option("url",
                  "Where events are posted. Supports templates in the path and the query: `{op}`, `{payload.shop}`",
                  TIDE_OPTION_REQUIRED | TIDE_OPTION_TEMPLATE),
    string_option("method", "HTTP method", 0, "POST", "POST|PUT|PATCH"),
    string_option("body",
                  "What a request holds: one event's `payload`, or its `envelope` with all that is known of it; or "
                  "the envelopes of many events, as a JSON `array` or one a line (`ndjson`)",
                  0, "payload", "payload|envelope|array|ndjson"),
    tide_option{"headers", TIDE_TYPE_JSON, TIDE_OPTION_SECRET, nullptr,
                "Headers of every request: `{\"Authorization\": \"Bearer …\"}`", 0, 0, nullptr},
    string_option("secret", "Secret to sign with, `whsec_…`, as Standard Webhooks has it", TIDE_OPTION_SECRET),
    string_option("previous_secret", "The secret before it: both sign until every receiver has the new one",
                  TIDE_OPTION_SECRET),
    int_option("concurrency", "Requests that are under way at a time; with more than one see `order_by`", "1", 1, 64),
    string_option("order_by",
                  "Events for which this template gives the same are sent one after the other, in order: "
                  "`{payload.customer}`. Without it, only a `concurrency` of 1 keeps an order",
                  TIDE_OPTION_TEMPLATE),
    int_option("timeout_ms", "Longest time that a request may take, in milliseconds", "10000", 1, 600'000),
    int_option("connect_timeout_ms", "Longest time that a connection may take, in milliseconds", "3000", 1, 60'000),
    string_option("tls_ca_cert", "CA certificate path, instead of the system's"),
    string_option("tls_client_cert", "Client certificate path (PEM)"),
    string_option("tls_client_key", "Path of the client certificate's private key (PEM)"),
    bool_option("tls_verify", "Verify the server's certificate. `false` is for tests: anybody may then read along",
                true),
};

enum class Body { payload, envelope, array, ndjson };

struct Settings {
  explicit Settings(const Config& config);  // throws a fatal Error

  [[nodiscard]] bool batches() const { return body == Body::array || body == Body::ndjson; }
  [[nodiscard]] const UrlShape* shape_of(std::string_view url) const;

  std::vector<UrlShape> shapes;
  std::string method;
  Body body = Body::payload;
  std::vector<std::pair<std::string, std::string>> headers;
  std::vector<std::string> secrets;  // decoded
  std::size_t concurrency;
  bool ordered;  // order_by is set
  std::chrono::milliseconds timeout;
  std::chrono::milliseconds connect_timeout;
  std::string tls_ca_cert;
  std::string tls_client_cert;
  std::string tls_client_key;
  bool tls_verify;
};

// What HTTP or this sink says itself, so that no event may.
bool is_reserved_header(std::string_view name);
bool is_header_name(std::string_view name);
bool is_header_value(std::string_view value);
bool same_header(std::string_view a, std::string_view b);

}  // namespace tide::webhook
