// SPDX-License-Identifier: Apache-2.0
#include "answer.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>

#include "tide/sink.h"

namespace tide::webhook {

using std::chrono::seconds;
using std::chrono::system_clock;

namespace {
constexpr seconds kLongestPause{3600};
}

std::int32_t outcome_of(long http_status, bool fixed_url) {
  if (http_status >= 200 && http_status < 300) return TIDE_STORED;
  if (http_status >= 300 && http_status < 400) return TIDE_FATAL;  // the URL is another
  switch (http_status) {
    case 408:
    case 425:
    case 429:
      return TIDE_RETRY;
    case 401:
    case 403:
    case 405:
    case 407:
    case 410:
      return TIDE_FATAL;
    case 404:
      return fixed_url ? TIDE_FATAL : TIDE_REJECTED;
    default:
      return http_status >= 400 && http_status < 500 ? TIDE_REJECTED : TIDE_RETRY;
  }
}

std::string_view advice(long http_status) {
  if (http_status >= 300 && http_status < 400) return ". Redirects are not followed: set url to where it leads";
  switch (http_status) {
    case 401:
    case 403:
      return ". Check the credentials in headers, and the secret";
    case 404:
    case 405:
      return ". Check url and method";
    case 410:
      return ". The receiver wants no more events there: disable the pipeline, or set another url";
    default:
      return {};
  }
}

std::optional<seconds> retry_after(std::string_view value, system_clock::time_point now) {
  while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\r' || value.back() == '\n'))
    value.remove_suffix(1);
  std::int64_t count = 0;
  const auto* const end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, count);
  if (error == std::errc() && stop == end) {
    if (count < 0) return std::nullopt;
    return std::min(seconds(count), kLongestPause);
  }
  const auto date = curl_getdate(std::string(value).c_str(), nullptr);
  if (date < 0) return std::nullopt;
  const auto left = std::chrono::ceil<seconds>(system_clock::from_time_t(date) - now);
  return std::clamp(left, seconds(0), kLongestPause);
}

}  // namespace tide::webhook
