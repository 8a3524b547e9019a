// The sink webhook against a real HTTP server that fails in every way.
#include "receiver.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "plugins/plugin_host.hpp"
#include "support/certificates.hpp"

namespace tide::test {
namespace {

using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

class Webhook : public ::testing::Test {
 protected:
  [[nodiscard]] Options options(const std::string& path, Options more = {}) const {
    more.try_emplace("url", std::vector<std::string>{receiver_.url(path)});
    return more;
  }
  [[nodiscard]] Event event(const std::string& path, const std::string& key, const std::string& payload = "{}") const {
    Event event;
    event.subject = receiver_.url(path);
    event.key = key;
    event.payload = payload;
    return event;
  }
  [[nodiscard]] std::vector<Event> events(const std::string& path, int count) const {
    std::vector<Event> all;
    for (int n = 1; n <= count; ++n)
      all.push_back(event(path, "k" + std::to_string(n), "{\"n\": " + std::to_string(n) + "}"));
    return all;
  }
  // One event to one path.
  Result send(const std::string& path, const Options& more = {}) {
    Instance sink(options(path, more));
    EXPECT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
    auto result = sink.deliver({event(path, "k1")})[0];
    return result;
  }
  std::vector<std::string> bodies() const {
    std::vector<std::string> all;
    for (const auto& request : receiver_.received()) all.push_back(request.body);
    return all;
  }

  Receiver receiver_;
};

TEST_F(Webhook, PostsThePayloadWithItsKeyAndHeaders) {
  Instance sink(options("/ok", {{"headers", std::string(R"({"Authorization": "Bearer t-1", "X-Own": ""})")}}));
  auto one = event("/ok", "key-1", R"({"a": "ä"})");
  one.headers = {{"Trace", "t-7"}, {"Content-Type", "application/cloudevents+json"}};
  ASSERT_EQ(sink.deliver({one})[0].status, TIDE_STORED);
  const auto got = receiver_.received().at(0);
  EXPECT_EQ(got.method, "POST");
  EXPECT_EQ(got.body, R"({"a": "ä"})");
  EXPECT_EQ(got.headers.at("webhook-id"), "key-1");
  EXPECT_EQ(got.headers.at("idempotency-key"), "key-1");
  EXPECT_EQ(got.headers.at("authorization"), "Bearer t-1");
  EXPECT_EQ(got.headers.at("x-own"), "");
  EXPECT_EQ(got.headers.at("trace"), "t-7");
  EXPECT_EQ(got.headers.at("content-type"), "application/cloudevents+json");
  EXPECT_EQ(got.headers.count("webhook-signature"), 0u);
}

TEST_F(Webhook, TakesAnotherMethod) {
  EXPECT_EQ(send("/ok", {{"method", "PUT"}}).status, TIDE_STORED);
  EXPECT_EQ(receiver_.received().at(0).method, "PUT");
}

TEST_F(Webhook, SignsWithBothSecretsWhileOneIsReplaced) {
  const std::string secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  const std::string before = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
  ASSERT_EQ(send("/ok", {{"secret", secret}, {"previous_secret", before}}).status, TIDE_STORED);
  const auto got = receiver_.received().at(0);
  const auto verified = run({variable("TIDE_TEST_PYTHON"), "-c",
                             "import sys, hmac, base64, hashlib\n"
                             "print(*('v1,' + base64.b64encode(hmac.new(base64.b64decode(s), sys.argv[1].encode(),\n"
                             "  hashlib.sha256).digest()).decode() for s in sys.argv[2:]))",
                             got.headers.at("webhook-id") + "." + got.headers.at("webhook-timestamp") + "." + got.body,
                             secret.substr(6), before.substr(6)});
  EXPECT_EQ(got.headers.at("webhook-signature") + "\n", verified.out) << verified.err;
  EXPECT_NEAR(std::stod(got.headers.at("webhook-timestamp")), static_cast<double>(std::time(nullptr)), 60);
}

TEST_F(Webhook, AnEnvelopeHoldsAllThatIsKnown) {
  Instance sink(options("/ok", {{"body", "envelope"}}));
  auto one = event("/ok", "k1", R"({"n": 1})");
  one.headers = {{"trace", "t"}};
  ASSERT_EQ(sink.deliver({one})[0].status, TIDE_STORED);
  EXPECT_EQ(bodies().at(0),
            R"({"key":"k1","op":"insert","outbox":"orders","stream_table":"orders","id":1,)"
            R"("created_at":"2025-11-25T10:00:00.123456Z","headers":{"trace":"t"},"payload":{"n": 1}})");
}

TEST_F(Webhook, AKeyThatIsNoHeaderIsEncoded) {
  Instance sink(options("/ok"));
  ASSERT_EQ(sink.deliver({event("/ok", "a b\r\nx: 1%ä")})[0].status, TIDE_STORED);
  EXPECT_EQ(receiver_.received().at(0).headers.at("webhook-id"), "a%20b%0D%0Ax:%201%25%C3%A4");
}

TEST_F(Webhook, RejectsAnEventWhoseHeadersWouldChangeTheRequest) {
  Instance sink(options("/ok"));
  auto all = events("/ok", 5);
  all[0].headers = {{"Host", "other"}};
  all[1].headers = {{"a", "b\r\nX: y"}};
  all[2].headers = {{"Webhook-Signature", "v1,x"}};
  all[3].headers = {{"not a name", "x"}};
  const auto results = sink.deliver(all);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(results[static_cast<std::size_t>(i)].status, TIDE_REJECTED);
  EXPECT_EQ(results[4].status, TIDE_STORED);
  EXPECT_EQ(receiver_.received().size(), 1u);
}

TEST_F(Webhook, AnEventDoesNotReplaceAHeaderOfTheConfiguration) {
  Instance sink(options("/ok", {{"headers", R"({"X-Api-Key": "ours", "Content-Type": "text/plain"})"}}));
  auto all = events("/ok", 2);
  all[0].headers = {{"x-api-key", "other"}};
  all[1].headers = {{"Content-Type", "application/json"}};
  const auto results = sink.deliver(all);
  EXPECT_EQ(results[0].status, TIDE_REJECTED);
  EXPECT_NE(results[0].error.find("x-api-key"), std::string::npos) << results[0].error;
  EXPECT_EQ(results[1].status, TIDE_STORED);
  ASSERT_EQ(receiver_.received().size(), 1u);
  EXPECT_EQ(receiver_.received().at(0).headers.at("content-type"), "text/plain");
}

TEST_F(Webhook, AUrlWithoutVariablesIsJudgedAsSuchBesideOneWithThem) {
  const auto fixed = receiver_.url("/status/404");
  Instance sink(options("/ok", {{"url", std::vector<std::string>{receiver_.url("/status/\x1a"), fixed}}}));
  EXPECT_EQ(sink.deliver({event("/status/404", "k1")})[0].status, TIDE_FATAL) << "nothing is there, for any event";
  Instance other(
      options("/ok", {{"url", std::vector<std::string>{receiver_.url("/status/200"), receiver_.url("/status/\x1a")}}}));
  EXPECT_EQ(other.deliver({event("/status/404", "k1")})[0].status, TIDE_REJECTED);
}

TEST_F(Webhook, RejectsAnEventThatWouldReachAnotherPlace) {
  Instance sink(options("/ok", {{"url", std::vector<std::string>{receiver_.url("/ok/\x1a")}}}));
  const auto results = sink.deliver({event("/ok/a/b", "k1"), event("/ok/a?x", "k2"), event("/ok/a", "k3")});
  EXPECT_EQ(results[0].status, TIDE_REJECTED);
  EXPECT_EQ(results[1].status, TIDE_REJECTED);
  EXPECT_NE(results[0].error.find("has other parts than its template"), std::string::npos);
  EXPECT_EQ(results[2].status, TIDE_STORED);
}

// --- answers

TEST_F(Webhook, WhatTheServerCannotTakeNowIsForAnotherTime) {
  for (const auto* status : {"408", "425", "429", "500", "503"}) {
    const auto result = send(std::string("/status/") + status);
    EXPECT_EQ(result.status, TIDE_RETRY) << status;
    EXPECT_EQ(result.native_code, std::stol(status));
    EXPECT_NE(result.error.find(std::string("the server answered ") + status + " to POST http://127.0.0.1"),
              std::string::npos);
    EXPECT_NE(result.error.find("told: no"), std::string::npos) << "what the server said";
  }
}

TEST_F(Webhook, WhatTheServerRefusesIsRejectedAndTheRestFlowsOn) {
  Instance sink(options("/bad"));
  auto all = events("/bad", 3);
  all[1].payload = "\"bad\"";
  const auto results = sink.deliver(all);
  EXPECT_EQ(results[0].status, TIDE_STORED);
  EXPECT_EQ(results[1].status, TIDE_REJECTED);
  EXPECT_EQ(results[2].status, TIDE_STORED);
}

TEST_F(Webhook, WrongRightsOrAWrongUrlStopThePipeline) {
  for (const auto* status : {"401", "403", "404", "410"}) {
    const auto result = send(std::string("/status/") + status);
    EXPECT_EQ(result.status, TIDE_FATAL) << status;
    EXPECT_NE(result.error.find(". "), std::string::npos) << "what to do";
  }
}

TEST_F(Webhook, ARedirectIsNotFollowedAndNamedWithoutItsQuery) {
  const auto result = send("/redirect");
  EXPECT_EQ(result.status, TIDE_FATAL);
  EXPECT_NE(result.error.find("with the location " + receiver_.url("/ok")), std::string::npos) << result.error;
  EXPECT_EQ(result.error.find("hidden"), std::string::npos);
  EXPECT_EQ(receiver_.received().size(), 1u);
}

TEST_F(Webhook, WaitsAsLongAsTheServerAsks) {
  Instance sink(options("/wait/1"));
  const auto begin = Clock::now();
  const auto results = sink.deliver(events("/wait/1", 1));
  EXPECT_EQ(results[0].status, TIDE_RETRY);
  EXPECT_GE(Clock::now() - begin, milliseconds(990));
  EXPECT_NE(sink.log().find("it asks to wait for 1 s"), std::string::npos) << sink.log();
  EXPECT_EQ(sink.deliver(events("/wait/1", 1))[0].status, TIDE_STORED);
}

// --- order

TEST_F(Webhook, NothingOvertakesAnEventThatIsToBeSentAgain) {
  Instance sink(options("/first/503/1"));
  const auto all = events("/first/503/1", 3);
  ASSERT_EQ(sink.publish(all), 3u);
  std::map<std::uint64_t, Result> results;
  while (results.size() < 3) results.merge(sink.ack(milliseconds(1000)));
  for (const auto& [token, result] : results) EXPECT_EQ(result.status, TIDE_RETRY) << token;
  EXPECT_EQ(receiver_.received().size(), 1u);
  for (const auto& result : sink.deliver(all)) EXPECT_EQ(result.status, TIDE_STORED);
  EXPECT_EQ(bodies(), (std::vector<std::string>{"{\"n\": 1}", "{\"n\": 1}", "{\"n\": 2}", "{\"n\": 3}"}));
}

TEST_F(Webhook, TakesNothingMoreUntilTheRelayKnowsOfIt) {
  Instance sink(options("/wait/60"));
  sink.publish(events("/wait/60", 1));
  ASSERT_TRUE(eventually(seconds(10), [&] {
    EXPECT_TRUE(sink.ack(milliseconds(10)).empty());
    return !sink.log().empty();
  }));
  EXPECT_EQ(sink.publish(events("/wait/60", 1)), 0u);
}

TEST_F(Webhook, LanesSendAtTheSameTimeAndKeepTheOrderOfEach) {
  Instance sink(options("/slow/200", {{"concurrency", 8L}, {"order_by", "\x1a"}}));
  std::vector<Event> all;
  for (int n = 0; n < 32; ++n) {
    all.push_back(event("/slow/200", "k" + std::to_string(n), std::to_string(n)));
    all.back().order = "customer-" + std::to_string(n % 16);
  }
  const auto begin = Clock::now();
  for (const auto& result : sink.deliver(all)) EXPECT_EQ(result.status, TIDE_STORED);
  EXPECT_LT(Clock::now() - begin, milliseconds(32 * 200)) << "one after the other";
  std::map<int, int> last;
  for (const auto& body : bodies()) {
    const int n = std::stoi(body);
    EXPECT_LE(last[n % 16], n);
    last[n % 16] = n;
  }
}

TEST_F(Webhook, ByDefaultOneRequestAtATimeKeepsTheOrder) {
  Instance sink(options("/ok"));
  const auto all = events("/ok", 40);
  EXPECT_LT(sink.publish(all), 40u) << "it takes what it can send soon";
  while (receiver_.received().size() < 8) sink.ack(milliseconds(10));
  std::vector<std::string> expected;
  for (int n = 1; n <= 8; ++n) expected.push_back("{\"n\": " + std::to_string(n) + "}");
  EXPECT_EQ(bodies(), expected);
}

// --- batches

TEST_F(Webhook, ABatchIsAnArrayOrLinesOfEnvelopes) {
  for (const auto* body : {"array", "ndjson"}) {
    Instance sink(options("/ok", {{"body", body}}));
    for (const auto& result : sink.deliver(events("/ok", 3))) EXPECT_EQ(result.status, TIDE_STORED);
  }
  const auto got = receiver_.received();
  ASSERT_EQ(got.size(), 2u);
  EXPECT_TRUE(got[0].body.starts_with(R"([{"key":"k1",)")) << got[0].body;
  EXPECT_TRUE(got[0].body.ends_with(R"("payload":{"n": 3}}])")) << got[0].body;
  EXPECT_EQ(got[0].headers.at("content-type"), "application/json");
  EXPECT_EQ(std::count(got[1].body.begin(), got[1].body.end(), '\n'), 3);
  EXPECT_EQ(got[1].headers.at("content-type"), "application/x-ndjson");
  EXPECT_TRUE(got[0].headers.at("webhook-id").starts_with("batch_"));
  EXPECT_EQ(got[0].headers.at("webhook-id"), got[1].headers.at("webhook-id")) << "of the same events";
}

TEST_F(Webhook, OfABatchThatIsRefusedOnlyTheBadEventIsRejected) {
  Instance sink(options("/bad", {{"body", "array"}}));
  auto all = events("/bad", 9);
  all[6].payload = "\"bad\"";
  const auto results = sink.deliver(all);
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(results[i].status, i == 6 ? TIDE_REJECTED : TIDE_STORED) << i;
  std::string order;
  for (const auto& request : receiver_.received()) {
    if (request.status != 200) continue;
    for (std::size_t at = 0; (at = request.body.find("\"key\":\"k", at)) != std::string::npos; ++at)
      order += request.body[at + 8];
  }
  EXPECT_EQ(order, "12345689");
}

TEST_F(Webhook, ABatchGoesToOneUrl) {
  Instance sink(options("/ok", {{"body", "array"}, {"url", std::vector<std::string>{receiver_.url("/ok/\x1a")}}}));
  std::vector<Event> all;
  for (const auto* path : {"/ok/a", "/ok/a", "/ok/b", "/ok/a"}) all.push_back(event(path, "k"));
  for (const auto& result : sink.deliver(all)) EXPECT_EQ(result.status, TIDE_STORED);
  std::string paths;
  for (const auto& request : receiver_.received()) paths += request.path + " ";
  EXPECT_EQ(paths, "/ok/a /ok/b /ok/a ");
}

// --- what goes wrong

TEST_F(Webhook, AServerThatHangsIsGivenUpAtTheTimeout) {
  const auto begin = Clock::now();
  const auto result = send("/hang", {{"timeout_ms", 300L}});
  EXPECT_EQ(result.status, TIDE_RETRY);
  EXPECT_GE(Clock::now() - begin, milliseconds(290));
  EXPECT_LT(Clock::now() - begin, seconds(10));
  EXPECT_NE(result.error.find("imed out"), std::string::npos) << result.error;
}

TEST_F(Webhook, AConnectionThatEndsWithoutAnAnswerIsAnOutage) {
  for (const auto* path : {"/drop", "/half"}) {
    const auto result = send(path);
    EXPECT_EQ(result.status, TIDE_RETRY) << path;
    EXPECT_NE(result.error.find(std::string("POST ") + receiver_.url(path) + ": "), std::string::npos) << result.error;
  }
}

TEST_F(Webhook, AServerThatIsGoneIsAnOutageAtConnectAndLater) {
  Instance sink(options("/ok"));
  receiver_.kill();
  EXPECT_EQ(sink.deliver({event("/ok", "k")})[0].status, TIDE_RETRY);
  Instance late(options("/ok"));
  EXPECT_EQ(late.connected().status, TIDE_RETRY);
  EXPECT_NE(late.connected().error.find("cannot connect to " + receiver_.url("") + ": "), std::string::npos);
}

TEST_F(Webhook, EndsAtOnceWithARequestUnderWay) {
  Instance sink(options("/hang"));
  sink.publish({event("/hang", "k")});
  sink.ack(milliseconds(100));
  const auto begin = Clock::now();
  sink.close();
  EXPECT_LT(Clock::now() - begin, seconds(2));
}

TEST_F(Webhook, ConnectHeedsItsDeadline) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);  // takes connections, and says nothing
  sockaddr_in address{};
  socklen_t size = sizeof address;
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener, 8), 0);
  ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string url = "https://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/";
  const auto begin = Clock::now();
  Instance sink(Options{{"url", std::vector<std::string>{url}}}, milliseconds(2000));
  EXPECT_EQ(sink.connected().status, TIDE_RETRY);
  EXPECT_LE(Clock::now() - begin, milliseconds(2000));
  ::close(listener);
}

TEST_F(Webhook, OptionsThatMakeNoSenseAreRefused) {
  const std::string secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  for (const auto& [wrong, text] : std::vector<std::pair<Options, std::string>>{
           {{{"url", std::vector<std::string>{"ftp://h/"}}}, "url does not begin with https:// or http://"},
           {{{"headers", std::string("[]")}}, "headers must be an object"},
           {{{"headers", std::string(R"({"X": 1})")}}, "the value of X must be a string"},
           {{{"headers", std::string(R"({"X": "a\nb"})")}}, "the value of X holds a line end"},
           {{{"headers", std::string(R"({"Host": "x"})")}}, "Host is set by the relay itself"},
           {{{"previous_secret", secret}}, "previous_secret is set without secret"},
           {{{"tls_client_cert", std::string("/x")}}, "belong together"},
           {{{"tls_ca_cert", std::string("/nowhere")}}, "without TLS: use https://"}}) {
    Instance sink(options("/ok", wrong));
    EXPECT_EQ(sink.connected().status, TIDE_FATAL) << text;
    EXPECT_NE(sink.connected().error.find(text), std::string::npos) << sink.connected().error;
  }
}

// --- the rules of the interface

TEST_F(Webhook, PassesTheConformanceKit) {
  const TempDir dir;
  for (const auto* several : {R"("concurrency": 8)", R"("body": "array")"}) {
    std::ofstream(dir / "sink.json") << R"({"sink_type": "webhook", "url": ")" << receiver_.url("/ok") << "\", "
                                     << several << '}';
    const auto result = run({variable("TIDE_RELAY"), "plugins", "test", variable("TIDE_TEST_PLUGIN"), "--sink-config",
                             (dir / "sink.json").string()},
                            {}, {}, seconds(300));
    EXPECT_EQ(result.exit_code, 0) << several << result.out << result.err;
    EXPECT_NE(result.out.find(" passed, 0 failed, 0 skipped"), std::string::npos) << several << result.out;
  }
}

// --- TLS

class WebhookTls : public ::testing::Test {
 protected:
  [[nodiscard]] Options options(const Receiver& receiver, Options more = {}) const {
    more.try_emplace("url", std::vector<std::string>{url(receiver)});
    return more;
  }
  static std::string url(const Receiver& receiver) { return receiver.url("/ok", "https", "localhost"); }
  [[nodiscard]] std::vector<std::string> server(const std::string& name = "server") const {
    return {certificates_.certificate(name), certificates_.key(name)};
  }
  static Event event(const Receiver& receiver) {
    Event event;
    event.subject = url(receiver);
    event.key = "k";
    return event;
  }

  Certificates certificates_;
};

TEST_F(WebhookTls, DeliversToAServerThatItsCaSigned) {
  Receiver receiver(server());
  Instance sink(options(receiver, {{"tls_ca_cert", certificates_.ca()}}));
  ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
  EXPECT_EQ(sink.deliver({event(receiver)})[0].status, TIDE_STORED);
}

TEST_F(WebhookTls, RefusesAServerThatNobodyVouchesFor) {
  Receiver receiver(server());
  Instance sink(options(receiver));
  EXPECT_EQ(sink.connected().status, TIDE_FATAL);
  EXPECT_NE(sink.connected().error.find("Check the server's certificate, and tls_ca_cert"), std::string::npos)
      << sink.connected().error;
  Instance trusting(options(receiver, {{"tls_verify", false}}));
  EXPECT_EQ(trusting.connected().status, TIDE_OK) << trusting.connected().error;
}

TEST_F(WebhookTls, RefusesACertificateForAnotherHostOrOneThatExpired) {
  Receiver receiver(server());
  Instance other(options(receiver, {{"url", std::vector<std::string>{receiver.url("/ok", "https")}},
                                    {"tls_ca_cert", certificates_.ca()}}));
  EXPECT_EQ(other.connected().status, TIDE_FATAL);
  certificates_.make("old", "ca", {"-days", "0"});  // valid until this second
  Receiver expired(server("old"));
  Instance late(options(expired, {{"tls_ca_cert", certificates_.ca()}}));
  EXPECT_EQ(late.connected().status, TIDE_FATAL);
  EXPECT_NE(late.connected().error.find("expired"), std::string::npos) << late.connected().error;
}

TEST_F(WebhookTls, ShowsItsClientCertificate) {
  auto files = server();
  files.push_back(certificates_.ca());
  Receiver receiver(files);
  const Options with{{"tls_ca_cert", certificates_.ca()},
                     {"tls_client_cert", certificates_.certificate("client")},
                     {"tls_client_key", certificates_.key("client")}};
  Instance sink(options(receiver, with));
  ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
  EXPECT_EQ(sink.deliver({event(receiver)})[0].status, TIDE_STORED);
  Instance without(options(receiver, {{"tls_ca_cert", certificates_.ca()}}));
  EXPECT_NE(without.connected().status == TIDE_OK ? without.deliver({event(receiver)})[0].status : TIDE_RETRY,
            TIDE_STORED);
}

TEST_F(WebhookTls, AsksNobodyForAPassphrase) {
  Receiver receiver(server());
  const Instance sink(options(receiver, {{"tls_ca_cert", certificates_.ca()},
                                         {"tls_client_cert", certificates_.certificate("client")},
                                         {"tls_client_key", certificates_.locked_key("client")}}));
  EXPECT_EQ(sink.connected().status, TIDE_FATAL);
  EXPECT_NE(sink.connected().error.find("Check tls_client_cert and tls_client_key"), std::string::npos)
      << sink.connected().error;
}

TEST_F(WebhookTls, SpeaksHttp2WithManyRequestsOnOneConnection) {
  Process node({"node", variable("TIDE_TEST_WEBHOOK") + "/http2_server.js", certificates_.certificate("server"),
                certificates_.key("server")});
  ASSERT_TRUE(node.wait_for_output("port ", seconds(20))) << node.err();
  ASSERT_TRUE(eventually(seconds(5), [&] { return node.out().ends_with('\n'); }));
  const auto port = node.out().substr(5, node.out().find('\n') - 5);
  Event one;
  one.subject = "https://localhost:" + port + "/";
  Instance sink(
      {{"url", std::vector<std::string>{one.subject}}, {"tls_ca_cert", certificates_.ca()}, {"concurrency", 4L}});
  ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
  std::vector<Event> all(12, one);
  for (std::size_t i = 0; i < all.size(); ++i) all[i].key = "k" + std::to_string(i);
  for (const auto& result : sink.deliver(all)) EXPECT_EQ(result.status, TIDE_STORED) << result.error;
  EXPECT_TRUE(node.wait_for_output("request 2.0 4", seconds(5))) << node.out();
}

}  // namespace
}  // namespace tide::test
