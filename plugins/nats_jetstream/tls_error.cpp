// SPDX-License-Identifier: Apache-2.0
#include "tls_error.hpp"

#include <openssl/x509_vfy.h>

#include <charconv>
#include <string_view>

#include "help.hpp"
#include "tide/sink.hpp"

namespace tide::nats {
namespace {

// cnats writes "…: 10:certificate has expired:depth=0:…": the number is OpenSSL's. 0 when there is none.
int verify_error(std::string_view text) {
  constexpr std::string_view before = "handshake error: ";
  const auto at = text.find(before);
  if (at == std::string_view::npos) return 0;
  const auto number = text.substr(at + before.size());
  int code = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), code);
  return error == std::errc() && end != number.data() + number.size() && *end == ':' ? code : 0;
}

std::string_view explain(int code) {
  switch (code) {
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return "the server's certificate is self-signed. Give that certificate, or the CA that should have signed it, as "
             "tls_ca_cert.";
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return "the server's certificate was signed by a CA that is not trusted. Give that CA's certificate as "
             "tls_ca_cert.";
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "the server's certificate, or its CA's, has expired. Renew it, and check this machine's clock.";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "the server's certificate, or its CA's, is not valid yet. Check this machine's clock.";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "the server's certificate is for another host. Use a host that it names in url, set tls_server_name to "
             "that "
             "name, or let the certificate name the host.";
    default:
      return "the server's certificate was refused. Check tls_ca_cert and the certificate's names and dates.";
  }
}

}  // namespace

void throw_tls_error(const std::string& what, const std::string& text, int status) {
  if (const int code = verify_error(text); code != 0)
    throw Error::fatal(what + ": " + std::string(explain(code)) + " (" + text + ")", status);
  // The server's word on us, as an alert of the protocol.
  if (text.find("alert") != std::string::npos)
    throw Error::fatal(what + " (" + text + "). " + std::string(help::client_certificate), status);
  throw Error::retry(what + " (" + text + "). " + std::string(help::connection), status);
}

}  // namespace tide::nats
