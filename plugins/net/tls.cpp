// SPDX-License-Identifier: Apache-2.0
#include "tls.hpp"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

namespace tide::net {
namespace {

std::string last_error() {
  const auto code = ERR_peek_last_error();
  if (code == 0) return "no reason given";
  const char* const reason = ERR_reason_error_string(code);
  return reason == nullptr ? "error " + std::to_string(code) : reason;
}

// Alerts by which a server says that it does not take our certificate, or the lack of one.
bool is_refusal(unsigned long code) {
  switch (ERR_GET_REASON(code)) {
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return true;
    default:
      return false;
  }
}

void require_readable(const std::string& path, const char* option) {
  if (path.empty() || ::access(path.c_str(), R_OK) == 0) return;
  throw Error::fatal(std::string("cannot read ") + option + " '" + path + "': " + std::strerror(errno) +
                     ". Check the path and its permissions");
}

bool is_address(const std::string& host) {
  ASN1_OCTET_STRING* const address = a2i_IPADDRESS(host.c_str());
  ASN1_OCTET_STRING_free(address);
  return address != nullptr;
}

int size_of(std::string_view text) {
  return static_cast<int>(std::min<std::size_t>(text.size(), std::numeric_limits<int>::max()));
}

// Nobody is asked for one at the terminal.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*data*/) {
  return 0;
}

}  // namespace

TlsSettings tls_settings(const Config& config, const std::vector<ServerUrl>& servers) {
  TlsSettings settings{std::string(config.text("tls_ca_cert")), std::string(config.text("tls_client_cert")),
                       std::string(config.text("tls_client_key")), std::string(config.text("tls_server_name")),
                       config.flag("tls_verify")};
  if (settings.client_cert.empty() != settings.client_key.empty())
    throw Error::fatal("tls_client_cert and tls_client_key belong together: set both, or neither");
  const bool any_tls = std::any_of(servers.begin(), servers.end(), [](const auto& server) { return server.tls; });
  if (!any_tls && !(settings.ca_cert + settings.client_cert + settings.server_name).empty())
    throw Error::fatal("tls_… options are set, and url has no server with TLS: write its scheme with an s");
  require_readable(settings.ca_cert, "tls_ca_cert");
  require_readable(settings.client_cert, "tls_client_cert");
  require_readable(settings.client_key, "tls_client_key");
  return settings;
}

Tls::Tls(const TlsSettings& settings, const std::string& host)
    : context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free), ssl_(nullptr, SSL_free) {
  if (!context_) throw std::bad_alloc();
  ERR_clear_error();
  SSL_CTX* const context = context_.get();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_verify(context, settings.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  const int loaded = settings.ca_cert.empty()
                         ? SSL_CTX_set_default_verify_paths(context)
                         : SSL_CTX_load_verify_locations(context, settings.ca_cert.c_str(), nullptr);
  if (loaded != 1) throw Error::fatal("cannot use tls_ca_cert '" + settings.ca_cert + "': " + last_error());
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
  if (!settings.client_cert.empty() &&
      (SSL_CTX_use_certificate_chain_file(context, settings.client_cert.c_str()) != 1 ||
       SSL_CTX_use_PrivateKey_file(context, settings.client_key.c_str(), SSL_FILETYPE_PEM) != 1))
    throw Error::fatal("cannot use tls_client_cert '" + settings.client_cert + "' with tls_client_key '" +
                       settings.client_key + "': " + last_error() +
                       ". Both must be PEM, the key without a passphrase, and belong together");
  ssl_.reset(SSL_new(context));
  in_ = BIO_new(BIO_s_mem());
  out_ = BIO_new(BIO_s_mem());
  if (!ssl_ || in_ == nullptr || out_ == nullptr) throw std::bad_alloc();
  SSL_set_bio(ssl_.get(), in_, out_);
  SSL_set_connect_state(ssl_.get());
  const auto& name = settings.server_name.empty() ? host : settings.server_name;
  const bool named = is_address(name) ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), name.c_str()) == 1
                                      : SSL_set_tlsext_host_name(ssl_.get(), name.c_str()) == 1 &&
                                            SSL_set1_host(ssl_.get(), name.c_str()) == 1;
  if (!named) throw Error::fatal("'" + name + "' can't be a server's name in TLS: " + last_error());
}

bool Tls::shake_hands(std::string& to_send) {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  drain(to_send);
  if (result == 1) return true;
  if (SSL_get_error(ssl_.get(), result) != SSL_ERROR_WANT_READ) fail(result);
  return false;
}

void Tls::arrived(std::string_view came) {
  if (!came.empty() && BIO_write(in_, came.data(), size_of(came)) != size_of(came)) throw std::bad_alloc();
}

void Tls::encrypt(std::string_view text, std::string& to_send) {
  while (!text.empty()) {
    ERR_clear_error();
    const int written = SSL_write(ssl_.get(), text.data(), size_of(text));
    if (written <= 0) fail(written);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  drain(to_send);
}

bool Tls::decrypt(std::string_view came, std::string& text, std::string& to_send) {
  arrived(came);
  char buffer[16384];
  for (;;) {
    ERR_clear_error();
    const int read = SSL_read(ssl_.get(), buffer, sizeof buffer);
    if (read > 0) {
      text.append(buffer, static_cast<std::size_t>(read));
      continue;
    }
    drain(to_send);
    const int why = SSL_get_error(ssl_.get(), read);
    if (why == SSL_ERROR_WANT_READ) return true;
    if (why == SSL_ERROR_ZERO_RETURN) return false;
    fail(read);
  }
}

void Tls::drain(std::string& to_send) {
  char* data = nullptr;
  const auto size = BIO_get_mem_data(out_, &data);
  if (size > 0) to_send.append(data, static_cast<std::size_t>(size));
  (void)BIO_reset(out_);
}

void Tls::fail(int result) const {
  const auto code = ERR_peek_last_error();
  if (const auto verdict = SSL_get_verify_result(ssl_.get());
      ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED && verdict != X509_V_OK)
    throw Error::fatal(std::string("the server's certificate does not verify: ") +
                       X509_verify_cert_error_string(verdict) +
                       ". Check the server's certificate, tls_ca_cert and tls_server_name");
  if (is_refusal(code))
    throw Error::fatal("the server refused the TLS connection: " + last_error() +
                       ". Check tls_client_cert and tls_client_key");
  if (ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER)
    throw Error::fatal("what answers there does not speak TLS. Check the scheme and the port of url");
  throw Error::retry("TLS failed: " +
                     (code == 0 ? "SSL error " + std::to_string(SSL_get_error(ssl_.get(), result)) : last_error()));
}

}  // namespace tide::net
