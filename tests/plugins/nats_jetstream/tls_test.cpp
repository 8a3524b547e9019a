// Encryption is never given up silently.
#include <gtest/gtest.h>

#include "plugin_host.hpp"
#include "support/jetstream.hpp"
#include "support/servers.hpp"
#include "support/tcp_proxy.hpp"

namespace tide::test {
namespace {

// A CA and a certificate for localhost that it signed.
class Certificates {
 public:
  Certificates() {
    openssl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
             "/CN=test-ca", "-keyout", file("ca.key"), "-out", ca()});
    openssl({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
             "-keyout", file("server.key"), "-out", file("server.csr")});
    const std::string names = file("names.ext");
    run({"sh", "-c", "echo subjectAltName=DNS:localhost > '" + names + "'"});
    openssl({"x509", "-req", "-in", file("server.csr"), "-CA", ca(), "-CAkey", file("ca.key"), "-CAcreateserial",
             "-days", "2", "-extfile", names, "-out", file("server.crt")});
  }

  std::string ca() const { return file("ca.crt"); }
  std::string server_config() const {
    return "tls { cert_file: '" + file("server.crt") + "', key_file: '" + file("server.key") + "' }";
  }

 private:
  std::string file(std::string_view name) const { return (dir_ / name).string(); }
  static void openssl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "openssl");
    const auto result = run(arguments);
    if (result.exit_code != 0) throw std::runtime_error("openssl failed: " + result.err);
  }

  TempDir dir_{"tide-test-tls"};
};

class Tls : public ::testing::Test {
 protected:
  Tls() { JetStream(server.url()).create_stream("EVENTS", {"events.>"}); }

  void turn_tls_on() {
    server.stop();
    server.start(certificates.server_config());
  }

  std::string address(const std::string& scheme, const std::string& host = "localhost") const {
    return scheme + "://" + host + ":" + std::to_string(server.port());
  }

  static Options with(const std::string& url, Options more = {}) {
    more["url"] = url;
    more["subject"] = std::string("events.a");
    return more;
  }

  void expect_fatal(const Options& options, const std::string& word) const {
    const Instance sink(options);
    EXPECT_EQ(sink.connected().status, TIDE_FATAL) << sink.connected().error;
    EXPECT_NE(sink.connected().error.find(word), std::string::npos) << sink.connected().error;
  }

  Certificates certificates;
  NatsServer server;
};

TEST_F(Tls, DeliversWithEitherWayToAskForIt) {
  turn_tls_on();
  for (const Options& options : {with(address("tls"), {{"tls_ca_cert", certificates.ca()}}),
                                 with(address("nats"), {{"tls_enabled", true}, {"tls_ca_cert", certificates.ca()}})}) {
    Instance sink(options);
    ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
    EXPECT_EQ(sink.deliver({{"events.a", "k"}})[0].status, TIDE_STORED);
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
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(1000));
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
}

TEST_F(Tls, RefusesAServerThatItsCaDidNotSign) {
  turn_tls_on();
  expect_fatal(with(address("tls")), "tls_ca_cert");
}

TEST_F(Tls, RefusesACertificateForAnotherHost) {
  turn_tls_on();
  expect_fatal(with(address("tls", "127.0.0.1"), {{"tls_ca_cert", certificates.ca()}}), "names the host");
}

TEST_F(Tls, NamesACaFileThatCannotBeRead) {
  expect_fatal(with(address("tls"), {{"tls_ca_cert", "/nonexistent/ca.pem"}}), "/nonexistent/ca.pem");
}

}  // namespace
}  // namespace tide::test
