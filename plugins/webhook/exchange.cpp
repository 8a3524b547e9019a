// SPDX-License-Identifier: Apache-2.0
#include "exchange.hpp"

#include <algorithm>
#include <new>

#include "answer.hpp"
#include "signature.hpp"

namespace tide::webhook {
namespace {

constexpr std::size_t kShownAnswer = 300;

template <class Value>
void set(CURL* easy, CURLoption option, Value value) {
  if (const auto error = curl_easy_setopt(easy, option, value); error != CURLE_OK)
    throw Error::fatal(std::string("libcurl refused an option: ") + curl_easy_strerror(error), error);
}

// Wrong configuration, or a certificate that only people can mend; the rest is an outage.
bool is_fatal(CURLcode error) {
  switch (error) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
      return true;
    default:
      return false;
  }
}

std::string told(CURLcode error, const char* why) {
  std::string text = *why == '\0' ? curl_easy_strerror(error) : why;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  if (error == CURLE_PEER_FAILED_VERIFICATION)
    text += ". Check the server's certificate, and tls_ca_cert";
  else if (error == CURLE_SSL_CERTPROBLEM)
    text += ". Check tls_client_cert and tls_client_key";
  return text;
}

// A header's value holds what can be printed; the rest, and '%' itself, is written as %XX.
std::string printable_id(std::string_view id) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string text;
  for (const char c : id) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7f && c != '%') {
      text += c;
    } else {
      text += '%';
      text += digits[byte >> 4];
      text += digits[byte & 15];
    }
  }
  return text;
}

const char* content_type(Body body) {
  return body == Body::ndjson ? "application/x-ndjson" : "application/json";
}

}  // namespace

void configure(CURL* easy, const Settings& settings) {
  set(easy, CURLOPT_NOSIGNAL, 1L);
  set(easy, CURLOPT_QUICK_EXIT, 1L);  // a name that is being looked up can't hold up the end
  set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  set(easy, CURLOPT_FOLLOWLOCATION, 0L);
  set(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(settings.connect_timeout.count()));
  set(easy, CURLOPT_SSL_VERIFYPEER, settings.tls_verify ? 1L : 0L);
  set(easy, CURLOPT_SSL_VERIFYHOST, settings.tls_verify ? 2L : 0L);
  set(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!settings.tls_ca_cert.empty()) {
    set(easy, CURLOPT_CAINFO, settings.tls_ca_cert.c_str());
    set(easy, CURLOPT_CAPATH, nullptr);
  }
  if (!settings.tls_client_cert.empty()) {
    set(easy, CURLOPT_SSLCERT, settings.tls_client_cert.c_str());
    set(easy, CURLOPT_SSLKEY, settings.tls_client_key.c_str());
    set(easy, CURLOPT_KEYPASSWD, "");  // nobody is asked for a passphrase
  }
}

void reach(const Settings& settings, const std::string& origin, std::chrono::milliseconds deadline) {
  const std::unique_ptr<CURL, void (*)(CURL*)> easy(curl_easy_init(), curl_easy_cleanup);
  if (!easy) throw std::bad_alloc();
  char why[CURL_ERROR_SIZE] = {};
  configure(easy.get(), settings);
  set(easy.get(), CURLOPT_ERRORBUFFER, why);
  set(easy.get(), CURLOPT_URL, origin.c_str());
  set(easy.get(), CURLOPT_CONNECT_ONLY, 1L);
  set(easy.get(), CURLOPT_TIMEOUT_MS, std::max(1L, static_cast<long>(deadline.count())));
  const auto result = curl_easy_perform(easy.get());
  set(easy.get(), CURLOPT_ERRORBUFFER, nullptr);
  if (result == CURLE_OK) return;
  const auto text = "cannot connect to " + origin + ": " + told(result, why);
  if (is_fatal(result)) throw Error::fatal(text, result);
  throw Error::retry(text, result);
}

Exchange::Exchange(const Settings& settings, const Request& request) {
  if (!easy_) throw std::bad_alloc();
  CURL* const easy = handle();
  configure(easy, settings);
  where_ = settings.method + " " + shown(request.url);
  set(easy, CURLOPT_ERRORBUFFER, why_);
  set(easy, CURLOPT_PRIVATE, this);
  set(easy, CURLOPT_URL, request.url.c_str());
  set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  set(easy, CURLOPT_PIPEWAIT, 1L);
  set(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(settings.timeout.count()));
  set(easy, CURLOPT_POST, 1L);
  set(easy, CURLOPT_CUSTOMREQUEST, settings.method.c_str());
  set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  set(easy, CURLOPT_POSTFIELDS, request.body.c_str());
  set(easy, CURLOPT_WRITEFUNCTION, &Exchange::take_body);
  set(easy, CURLOPT_WRITEDATA, this);

  const auto id = printable_id(request.id);
  add_header("Expect:");  // no round trip before the body
  bool typed = false;
  for (const auto* headers : {&settings.headers, &request.headers})
    for (const auto& [name, value] : *headers) {
      typed = typed || same_header(name, "Content-Type");
      add_header(name + (value.empty() ? ";" : ": " + value));
    }
  if (!typed) add_header(std::string("Content-Type: ") + content_type(settings.body));
  add_header("Idempotency-Key: " + id);
  add_header("webhook-id: " + id);
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  const auto timestamp = std::to_string(now);
  add_header("webhook-timestamp: " + timestamp);
  if (!settings.secrets.empty())
    add_header("webhook-signature: " + signature(settings.secrets, id, timestamp, request.body));
  set(easy, CURLOPT_HTTPHEADER, headers_.get());
}

void Exchange::add_header(const std::string& line) {
  curl_slist* const longer = curl_slist_append(headers_.get(), line.c_str());
  if (longer == nullptr) throw std::bad_alloc();
  if (!headers_) headers_.reset(longer);
}

std::size_t Exchange::take_body(char* data, std::size_t size, std::size_t count, void* exchange) {
  auto& answer = static_cast<Exchange*>(exchange)->answer_;
  const auto bytes = size * count;
  answer.append(data, std::min(bytes, kShownAnswer - std::min(kShownAnswer, answer.size())));
  return bytes;
}

Exchange::Outcome Exchange::outcome(CURLcode result, bool fixed_url) const {
  if (result != CURLE_OK) {
    const auto status = is_fatal(result) ? TIDE_FATAL : TIDE_RETRY;
    return {status, where_ + ": " + told(result, why_), 0, std::nullopt};
  }
  long code = 0;
  curl_easy_getinfo(handle(), CURLINFO_RESPONSE_CODE, &code);
  Outcome outcome{outcome_of(code, fixed_url), {}, code, std::nullopt};
  if (outcome.status == TIDE_STORED) return outcome;
  outcome.error = "the server answered " + std::to_string(code) + " to " + where_;
  const char* location = nullptr;
  if (code >= 300 && code < 400 && curl_easy_getinfo(handle(), CURLINFO_REDIRECT_URL, &location) == CURLE_OK &&
      location != nullptr)
    outcome.error += ", with the location " + shown(location);
  if (!answer_.empty()) outcome.error += ": " + answer_;
  outcome.error += advice(code);
  curl_header* header = nullptr;
  if (outcome.status == TIDE_RETRY &&
      curl_easy_header(handle(), "Retry-After", 0, CURLH_HEADER, -1, &header) == CURLHE_OK)
    outcome.retry_after = retry_after(header->value, std::chrono::system_clock::now());
  return outcome;
}

}  // namespace tide::webhook
