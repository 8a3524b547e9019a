// SPDX-License-Identifier: Apache-2.0
//
// The client's side of TLS, over buffers: what to send and what came are strings, and the socket is another's. One
// thread at a time.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server_url.hpp"
#include "tide/sink.hpp"

namespace tide::net {

struct TlsSettings {
  std::string ca_cert;      // empty: the system's
  std::string client_cert;  // empty: none
  std::string client_key;
  std::string server_name;  // empty: the host of the URL
  bool verify = true;
};

// Of the options tls_…, for these servers. Throws a fatal Error.
TlsSettings tls_settings(const Config& config, const std::vector<ServerUrl>& servers);

class Tls {
 public:
  Tls(const TlsSettings& settings, const std::string& host);

  // Goes on with the handshake; true when it is done. Throws a fatal Error where people must mend something.
  bool shake_hands(std::string& to_send);
  void encrypt(std::string_view text, std::string& to_send);
  // Takes what came from the socket, and adds what it says. False: the peer has ended the connection.
  bool decrypt(std::string_view came, std::string& text, std::string& to_send);
  void arrived(std::string_view came);

 private:
  void drain(std::string& to_send);
  [[noreturn]] void fail(int result) const;

  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
  BIO* in_ = nullptr;  // both belong to ssl_
  BIO* out_ = nullptr;
};

}  // namespace tide::net
