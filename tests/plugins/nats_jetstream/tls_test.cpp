// Encryption is never given up silently.
#include <gtest/gtest.h>

#include "plugins/plugin_host.hpp"
#include "support/certificates.hpp"
#include "support/jetstream.hpp"
#include "support/servers.hpp"
#include "support/tcp_proxy.hpp"

namespace tide::test {
namespace {

// As nats-server is told of them.
class ServerCertificates : public Certificates {
 public:
  std::string server_config(const std::string& name = "server", const std::string& more = {}) const {
    return "tls { cert_file: '" + certificate(name) + "', key_file: '" + key(name) + "'" + more + " }";
  }
  // The server verifies its clients.
  std::string verifying_config() const { return server_config("server", ", ca_file: '" + ca() + "', verify: true"); }
};

class Tls : public ::testing::Test {
 protected:
  Tls() { JetStream(server.url()).create_stream("EVENTS", {"events.>"}); }

  void turn_tls_on() { restart_with(certificates.server_config()); }
  void restart_with(const std::string& config) {
    server.stop();
    server.start(config);
  }

  std::string address(const std::string& scheme, const std::string& host = "localhost") const {
    return scheme + "://" + host + ":" + std::to_string(server.port());
  }

  static Options with(const std::string& url, Options more = {}) {
    more["url"] = url;
    more["subject"] = std::string("events.a");
    return more;
  }

  void expect_stored(const Options& options) const {
    Instance sink(options);
    ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
    EXPECT_EQ(sink.deliver({{"events.a", "k"}})[0].status, TIDE_STORED);
  }

  void expect_fatal(const Options& options, const std::string& word) const {
    expect_refused(options, TIDE_FATAL, word);
  }
  void expect_refused(const Options& options, int status, const std::string& word) const {
    const Instance sink(options);
    EXPECT_EQ(sink.connected().status, status) << sink.connected().error;
    EXPECT_NE(sink.connected().error.find(word), std::string::npos) << sink.connected().error;
  }

  ServerCertificates certificates;
  NatsServer server;
};

TEST_F(Tls, DeliversWithEitherWayToAskForIt) {
  turn_tls_on();
  for (const Options& options : {with(address("tls"), {{"tls_ca_cert", certificates.ca()}}),
                                 with(address("nats"), {{"tls_enabled", true}, {"tls_ca_cert", certificates.ca()}})}) {
    expect_stored(options);
  }
}

TEST_F(Tls, DeliversMoreThanTheSocketTakesAtOnce) {
  turn_tls_on();
  std::vector<Event> events;
  for (int i = 0; i < 300; ++i) events.push_back({"events.a", std::to_string(i), std::string(100'000, 'x')});
  Instance sink(with(address("tls"), {{"tls_ca_cert", certificates.ca()}}));
  for (const auto& result : sink.deliver(events)) ASSERT_EQ(result.status, TIDE_STORED) << result.error;
}

TEST_F(Tls, DoesNotBlockForLongOnAServerThatHangs) {
  turn_tls_on();
  Instance sink(with(address("tls"), {{"tls_ca_cert", certificates.ca()}}));
  server.pause();
  const auto start = std::chrono::steady_clock::now();
  const std::vector<Event> events(500, {"events.a", "same", std::string(100'000, 'x')});
  while (sink.publish(events) != 0) continue;
  while (sink.outcome().status == TIDE_OK) sink.ack(std::chrono::milliseconds(500));
  EXPECT_EQ(sink.outcome().status, TIDE_RETRY);
  sink.close();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(12));
  server.resume();
}

TEST_F(Tls, GivesUpAHandshakeAtTheDeadline) {
  restart_with(certificates.server_config("server", ", timeout: 30"));
  TcpProxy proxy(server.port());
  proxy.delay(
      std::chrono::milliseconds(2000));  // the greeting comes in time, the server's half of the handshake does not
  const auto start = std::chrono::steady_clock::now();
  const Instance sink(with("tls://localhost:" + std::to_string(proxy.port()), {{"tls_ca_cert", certificates.ca()}}),
                      std::chrono::milliseconds(4000));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(5000));
  EXPECT_EQ(sink.connected().status, TIDE_RETRY);
  EXPECT_NE(sink.connected().error.find("in time"), std::string::npos) << sink.connected().error;
}

TEST_F(Tls, DoesNotWaitInsideARecordThatArrivesInPieces) {
  turn_tls_on();
  TcpProxy proxy(server.port());
  const std::string url = "tls://localhost:" + std::to_string(proxy.port());
  Instance sink(with(url, {{"tls_ca_cert", certificates.ca()}}));
  ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;

  proxy.hold_half();
  ASSERT_EQ(sink.publish({{"events.a", "k"}}), 1u);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(sink.ack(std::chrono::milliseconds(500)).empty());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(3));
  EXPECT_EQ(sink.outcome().status, TIDE_OK) << sink.outcome().error;

  proxy.heal();
  EXPECT_EQ(sink.ack(std::chrono::seconds(2))[1].status, TIDE_STORED);
}

TEST_F(Tls, TurnsToTlsWhenTheServerDemandsIt) {
  turn_tls_on();
  // The system's CAs did not sign it, so what this shows is that the certificate was asked for and verified.
  expect_fatal(with(address("nats")), "certificate");
}

TEST_F(Tls, NeverTalksInTheClearWhenTlsIsAskedFor) {
  expect_fatal(with(address("tls")), "TLS");
  expect_fatal(with(address("nats"), {{"tls_enabled", true}}), "TLS");
  expect_fatal(with(address("nats"), {{"tls_ca_cert", certificates.ca()}}), "TLS");
  expect_fatal(with(address("nats") + "," + address("tls")), "TLS");
  expect_fatal(with(address("nats"), {{"tls_server_name", "localhost"}}), "TLS");
  expect_fatal(with(address("nats"), {{"tls_client_cert", certificates.certificate("client")},
                                      {"tls_client_key", certificates.key("client")}}),
               "TLS");
}

TEST_F(Tls, SaysThatTheServersCaIsNotTrusted) {
  turn_tls_on();
  expect_fatal(with(address("tls")), "signed by a CA that is not trusted");
  certificates.make_ca("other-ca");
  expect_fatal(with(address("tls"), {{"tls_ca_cert", certificates.certificate("other-ca")}}),
               "signed by a CA that is not trusted");
}

TEST_F(Tls, SaysThatTheServersCertificateIsSelfSigned) {
  certificates.make_ca("lonely");
  restart_with(certificates.server_config("lonely"));
  expect_fatal(with(address("tls"), {{"tls_ca_cert", certificates.ca()}}), "is self-signed");
}

TEST_F(Tls, SaysThatTheServersCertificateHasExpired) {
  certificates.make("expired", "ca", {"-days", "0"});  // valid until this second
  restart_with(certificates.server_config("expired"));
  expect_fatal(with(address("tls"), {{"tls_ca_cert", certificates.ca()}}), "has expired");
}

TEST_F(Tls, SaysThatTheCertificateIsForAnotherHost) {
  turn_tls_on();
  expect_fatal(with(address("tls", "127.0.0.1"), {{"tls_ca_cert", certificates.ca()}}), "is for another host");
  expect_fatal(with(address("tls"), {{"tls_ca_cert", certificates.ca()}, {"tls_server_name", "other.example"}}),
               "is for another host");
}

TEST_F(Tls, TakesTheNameThatTheCertificateMustCarry) {
  turn_tls_on();
  expect_stored(
      with(address("tls", "127.0.0.1"), {{"tls_ca_cert", certificates.ca()}, {"tls_server_name", "localhost"}}));
}

TEST_F(Tls, ShowsItsClientCertificate) {
  restart_with(certificates.verifying_config());
  expect_stored(with(address("tls"), {{"tls_ca_cert", certificates.ca()},
                                      {"tls_client_cert", certificates.certificate("client")},
                                      {"tls_client_key", certificates.key("client")}}));
}

TEST_F(Tls, SaysThatTheServerWantsAClientCertificate) {
  restart_with(certificates.verifying_config());
  expect_refused(with(address("tls"), {{"tls_ca_cert", certificates.ca()}}), TIDE_RETRY,
                 "set tls_client_cert and tls_client_key");
}

TEST_F(Tls, SaysThatTheServerRefusesTheClientCertificate) {
  certificates.make_ca("other-ca");
  certificates.make("stranger", "other-ca", {"-days", "2"});
  restart_with(certificates.verifying_config());
  expect_refused(with(address("tls"), {{"tls_ca_cert", certificates.ca()},
                                       {"tls_client_cert", certificates.certificate("stranger")},
                                       {"tls_client_key", certificates.key("stranger")}}),
                 TIDE_RETRY, "set tls_client_cert and tls_client_key");
}

TEST_F(Tls, RefusesAClientKeyThatBelongsToAnotherCertificate) {
  expect_fatal(with(address("tls"), {{"tls_client_cert", certificates.certificate("client")},
                                     {"tls_client_key", certificates.key("server")}}),
               "belong together");
  expect_fatal(with(address("tls"), {{"tls_client_cert", certificates.certificate("client")}}), "belong together");
}

TEST_F(Tls, AsksNobodyForAPassphrase) {
  expect_fatal(with(address("tls"), {{"tls_client_cert", certificates.certificate("client")},
                                     {"tls_client_key", certificates.locked_key("client")}}),
               "needs a passphrase");
}

TEST_F(Tls, NamesAClientCertificateThatCannotBeRead) {
  expect_fatal(with(address("tls"),
                    {{"tls_client_cert", "/nonexistent/client.pem"}, {"tls_client_key", certificates.key("client")}}),
               "/nonexistent/client.pem");
}

TEST_F(Tls, NamesACaFileThatCannotBeRead) {
  expect_fatal(with(address("tls"), {{"tls_ca_cert", "/nonexistent/ca.pem"}}), "/nonexistent/ca.pem");
}

}  // namespace
}  // namespace tide::test
