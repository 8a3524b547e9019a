// SPDX-License-Identifier: Apache-2.0
//
// One HTTP request and its answer, by libcurl. The relay serialises the calls.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "settings.hpp"

namespace tide::webhook {

struct Request {
  std::string url;
  std::string body;
  std::string id;                                            // of the event, or of the batch
  std::vector<std::pair<std::string, std::string>> headers;  // beside those that every request has
};

class Exchange {
 public:
  // Copies nothing: both live as long as this.
  Exchange(const Settings& settings, const Request& request);

  [[nodiscard]] CURL* handle() const { return easy_.get(); }

  // After libcurl said how it ended.
  struct Outcome {
    std::int32_t status;  // TIDE_STORED, TIDE_RETRY, TIDE_REJECTED or TIDE_FATAL
    std::string error;    // where it was not stored
    long code;            // HTTP's status; 0 where there was none
    std::optional<std::chrono::seconds> retry_after;
  };
  [[nodiscard]] Outcome outcome(CURLcode result, bool fixed_url) const;

 private:
  void add_header(const std::string& line);
  static std::size_t take_body(char* data, std::size_t size, std::size_t count, void* exchange);

  std::unique_ptr<CURL, void (*)(CURL*)> easy_{curl_easy_init(), curl_easy_cleanup};
  std::unique_ptr<curl_slist, void (*)(curl_slist*)> headers_{nullptr, curl_slist_free_all};
  std::string where_;   // "POST https://host/path", to show
  std::string answer_;  // its beginning
  char why_[CURL_ERROR_SIZE] = {};
};

// TLS, timeouts and protocols, for any handle.
void configure(CURL* easy, const Settings& settings);

// Reaches the server, and verifies its certificate, without a request. Throws Error.
void reach(const Settings& settings, const std::string& origin, std::chrono::milliseconds deadline);

}  // namespace tide::webhook
