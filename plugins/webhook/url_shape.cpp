// SPDX-License-Identifier: Apache-2.0
#include "url_shape.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <memory>

#include "tide/sink.hpp"

namespace tide::webhook {
namespace {

bool is_unknown(char c) {
  return c == TIDE_UNKNOWN || c == TIDE_UNKNOWN_TOKENS;
}

std::string part(CURLU* url, CURLUPart which) {
  char* text = nullptr;
  if (curl_url_get(url, which, &text, 0) != CURLUE_OK) return {};
  std::string copy(text);
  curl_free(text);
  return copy;
}

}  // namespace

UrlShape::UrlShape(std::string_view text) : text_(text), varies_(std::any_of(text.begin(), text.end(), is_unknown)) {
  std::string example(text);
  for (char& c : example)
    if (is_unknown(c)) c = 'x';
  const auto scheme = example.find("://");
  if (!example.starts_with("http://") && !example.starts_with("https://"))
    throw Error::fatal("url does not begin with https:// or http://");
  const auto end = std::min(example.find_first_of("/?#\\", scheme + 3), example.size());
  if (std::any_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(end), is_unknown))
    throw Error::fatal(
        "url has a variable in its host: events must not choose where they are sent. Put variables into the path or "
        "the "
        "query, and use routes for several hosts");
  if (example.find('#') != std::string::npos)
    throw Error::fatal("url has a fragment (#), which is never sent: remove it");
  const std::unique_ptr<CURLU, void (*)(CURLU*)> url(curl_url(), curl_url_cleanup);
  if (const auto error = curl_url_set(url.get(), CURLUPART_URL, encoded(example).c_str(), 0); error != CURLUE_OK)
    throw Error::fatal("url '" + shown(example) + "' is not valid: " + curl_url_strerror(error));
  prefix_ = example.substr(0, end);
  const auto port = part(url.get(), CURLUPART_PORT);
  tls_ = part(url.get(), CURLUPART_SCHEME) == "https";
  origin_ =
      std::string(tls_ ? "https://" : "http://") + part(url.get(), CURLUPART_HOST) + (port.empty() ? "" : ":" + port);
  counts_ = count(example);
}

UrlShape::Counts UrlShape::count(std::string_view url) {
  Counts counts{};
  for (const char c : url)
    if (const auto which = kSeparators.find(c); which != std::string_view::npos) ++counts.at(which);
  return counts;
}

bool UrlShape::takes(std::string_view url) const {
  return varies_ ? url.starts_with(prefix_) && count(url) == counts_ : url == text_;
}

std::string encoded(std::string_view url) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string text;
  for (const char c : url) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7f && std::string_view("\"<>\\^`{|}").find(c) == std::string_view::npos) {
      text += c;
    } else {
      text += '%';
      text += digits[byte >> 4];
      text += digits[byte & 15];
    }
  }
  return text;
}

std::string shown(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos) return std::string(url.substr(0, url.find('@')));
  auto rest = url.substr(scheme + 3);
  const auto user = rest.substr(0, rest.find('/')).rfind('@');
  if (user != std::string_view::npos) rest.remove_prefix(user + 1);
  return std::string(url.substr(0, scheme + 3)) + std::string(rest);
}

}  // namespace tide::webhook
