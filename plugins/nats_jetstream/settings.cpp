// SPDX-License-Identifier: Apache-2.0
#include "settings.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <utility>

#include "help.hpp"
#include "nkey.hpp"
#include "server_url.hpp"
#include "subject.hpp"

namespace tide::nats {
namespace {

void require_readable(const std::string& path, const std::string& option, std::string_view advice) {
  if (::access(path.c_str(), R_OK) != 0)
    throw Error::fatal("cannot read " + option + " '" + path + "': " + std::strerror(errno) + ". " +
                       std::string(advice));
}

// cnats would report a file without a seed only when the server asks, and then as if the server had refused.
void require_credentials(const std::string& path) {
  require_readable(path, "credentials_file", help::authorization);
  std::ifstream file(path);
  const std::string content(std::istreambuf_iterator<char>(file), {});
  for (const auto* part : {"BEGIN NATS USER JWT", "BEGIN USER NKEY SEED"})
    if (content.find(part) == std::string::npos)
      throw Error::fatal("credentials_file '" + path + "' has no section \"" + part +
                         "\". It must be a file as `nsc generate creds` writes it.");
}

// OpenSSL would ask for it at the terminal, and wait.
void refuse_passphrase(const std::string& path) {
  bool asked = false;
  const auto ask = [](char* /*buffer*/, int /*size*/, int /*writing*/, void* was_asked) {
    *static_cast<bool*>(was_asked) = true;
    return 0;
  };
  const std::unique_ptr<BIO, decltype(&BIO_free)> file(BIO_new_file(path.c_str(), "r"), BIO_free);
  if (file) EVP_PKEY_free(PEM_read_bio_PrivateKey(file.get(), nullptr, ask, &asked));
  ERR_clear_error();
  if (asked)
    throw Error::fatal("tls_client_key '" + path +
                       "' needs a passphrase, and there is nobody to ask: take it off with `openssl pkey -in FILE -out "
                       "PLAIN`, and let only the relay's user read that file");
}

std::string api_prefix_of(const Config& config) {
  const std::string domain(config.text("js_domain"));
  std::string prefix(config.text("js_api_prefix"));
  if (domain.empty() && prefix.empty()) return "$JS.API.";
  if (!domain.empty() && !prefix.empty())
    throw Error::fatal("js_domain and js_api_prefix both say where the JetStream API is: keep one");
  if (domain.find('.') != std::string::npos || (!domain.empty() && !is_publishable(domain)))
    throw Error::fatal("js_domain '" + domain +
                       "' is not a domain's name: it is one word without . * > or white space");
  if (!domain.empty()) return "$JS." + domain + ".API.";
  if (prefix.ends_with('.')) prefix.pop_back();
  if (!is_publishable(prefix))
    throw Error::fatal("js_api_prefix '" + prefix +
                       "' is not a subject: it has an empty token, white space or a wildcard");
  return prefix + ".";
}

Authentication from_user_info(const ServerUrl& url) {
  if (url.password.empty()) return Token{url.username};
  return UserPassword{url.username, url.password};
}

// The one way to authenticate that is configured. Two at once would leave it to chance which one the server sees.
Authentication authentication_of(const Config& config, const std::vector<ServerUrl>& urls) {
  Authentication chosen;
  std::string chosen_by;
  const auto choose = [&](Authentication way, const std::string& option) {
    if (!chosen_by.empty())
      throw Error::fatal("two ways to authenticate are configured, " + chosen_by + " and " + option + ": keep one");
    chosen = std::move(way);
    chosen_by = option;
  };
  const auto text = [&](std::string_view option) { return std::string(config.text(option)); };

  if (auto path = text("credentials_file"); !path.empty()) {
    require_credentials(path);
    choose(CredentialsFile{std::move(path)}, "credentials_file");
  }
  if (auto seed = text("nkey_seed"); !seed.empty()) {
    auto public_key = public_key_of_user_seed(seed);
    choose(NkeySeed{std::move(seed), std::move(public_key)}, "nkey_seed");
  }
  if (auto token = text("token"); !token.empty()) choose(Token{std::move(token)}, "token");
  if (auto username = text("username"); !username.empty())
    choose(UserPassword{std::move(username), text("password")}, "username");
  else if (!config.text("password").empty())
    throw Error::fatal("password is set without username");

  // cnats would take user info per server; here the servers are one cluster, with one set of users.
  const ServerUrl* named = nullptr;
  for (const ServerUrl& url : urls) {
    if (url.username.empty() && url.password.empty()) continue;
    if (named == nullptr) {
      choose(from_user_info(url), "the user info in url");
      named = &url;
    } else if (url.username != named->username || url.password != named->password) {
      throw Error::fatal("the servers in url carry different user info: one cluster takes one user");
    }
  }
  return chosen;
}

}  // namespace

Settings::Settings(const Config& config)
    : stream(config.text("stream")),
      tls_ca_cert(config.text("tls_ca_cert")),
      tls_client_cert(config.text("tls_client_cert")),
      tls_client_key(config.text("tls_client_key")),
      tls_server_name(config.text("tls_server_name")),
      new_stream_replicas(config.flag("create_stream") ? config.integer("create_stream_replicas") : 0),
      api_prefix(api_prefix_of(config)),
      exclusive(config.flag("exclusive")),
      client_name("tide-relay/" + std::string(config.pipeline())) {
  const auto urls = parse_server_urls(config.text("url"));
  // Whoever gives a certificate or a name to verify wants TLS: never talk in the clear then.
  tls = config.flag("tls_enabled") || !tls_ca_cert.empty() || !tls_client_cert.empty() || !tls_server_name.empty();
  for (const ServerUrl& url : urls) {
    servers.push_back(url.address);
    tls = tls || url.tls;
  }
  authentication = authentication_of(config, urls);
  if (tls_client_cert.empty() != tls_client_key.empty())
    throw Error::fatal("tls_client_cert and tls_client_key belong together: set both, or neither");
  for (const auto& [path, option] : {std::pair(&tls_ca_cert, "tls_ca_cert"),
                                     {&tls_client_cert, "tls_client_cert"},
                                     {&tls_client_key, "tls_client_key"}})
    if (!path->empty()) require_readable(*path, option, "Check the path and its permissions.");
  if (!tls_client_key.empty()) refuse_passphrase(tls_client_key);

  if (stream.find_first_of(" \t\r\n.*>/\\") != std::string::npos)
    throw Error::fatal("stream '" + stream + "' is not a stream's name: it has no white space and none of . * > / \\");
  // '*' stands for variables here, so a literal wildcard in the template hides among them: look at the template itself.
  for (const auto subject : config.texts("subject")) {
    std::string shape(subject);
    for (char& c : shape)
      if (c == TIDE_UNKNOWN || c == TIDE_UNKNOWN_TOKENS) c = 'x';
    if (!is_publishable(shape))
      throw Error::fatal("subject is not valid: no empty token, white space or wildcard may stand in '" + shape + "'");
    subject_filters.push_back(filter_of(subject));
  }
}

std::string Settings::server_list() const {
  std::string list;
  for (const auto& server : servers) list += (list.empty() ? "" : ",") + server;
  return list;
}

}  // namespace tide::nats
