// The sink redis_streams against a real redis-server, in every state that one can be in.
#include <gtest/gtest.h>

#include <algorithm>

#include "plugins/plugin_host.hpp"
#include "support/certificates.hpp"
#include "support/redis_server.hpp"

namespace tide::test {
namespace {

using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

Options with(const std::string& url, Options more = {}) {
  more.try_emplace("url", url);
  more.try_emplace("stream", std::vector<std::string>{"orders"});
  return more;
}

Event event(const std::string& key, const std::string& payload = "{}", const std::string& stream = "orders") {
  Event event;
  event.subject = stream;
  event.key = key;
  event.payload = payload;
  return event;
}

std::vector<Event> events(int from, int count, const std::string& stream = "orders") {
  std::vector<Event> all;
  for (int n = from; n < from + count; ++n) all.push_back(event("k" + std::to_string(n), std::to_string(n), stream));
  return all;
}

// The payloads that a stream holds, in its order.
std::vector<std::string> payloads(RedisClient& client, const std::string& stream = "orders") {
  std::vector<std::string> all;
  for (const auto& entry : client.entries(stream)) all.push_back(RedisClient::value(entry, "payload"));
  return all;
}

std::vector<std::string> numbers(int from, int to) {
  std::vector<std::string> all;
  for (int n = from; n <= to; ++n) all.push_back(std::to_string(n));
  return all;
}

// The outcome of one event, to a sink that connects.
Result send(const Options& options, const Event& one) {
  Instance sink(options);
  EXPECT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
  if (sink.connected().status != TIDE_OK) return {};
  return sink.deliver({one})[0];
}

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class Redis : public ::testing::Test {
 protected:
  [[nodiscard]] Options options(const Options& more = {}) const { return with(server_.url(), more); }

  RedisServer server_;
  RedisClient client_{server_};
};

// --- what arrives

TEST_F(Redis, AnEntryHoldsTheIdThePayloadAndTheHeaders) {
  auto one = event("key-1", R"({"a": "ä"})");
  one.headers = {{"trace", "t-7"}, {"empty", ""}};
  ASSERT_EQ(send(options(), one).status, TIDE_STORED);
  const RedisClient::Entry expected{
      {"id", "key-1"}, {"op", "insert"}, {"payload", R"({"a": "ä"})"}, {"header.trace", "t-7"}, {"header.empty", ""}};
  EXPECT_EQ(client_.entries("orders").at(0), expected);
}

TEST_F(Redis, AnEnvelopeHoldsAllThatIsKnown) {
  auto one = event("k1", R"({"n": 1})");
  one.headers = {{"trace", "t"}};
  ASSERT_EQ(send(options({{"body", "envelope"}, {"payload_field", "event"}}), one).status, TIDE_STORED);
  const RedisClient::Entry expected{
      {"id", "k1"},
      {"event", R"({"key":"k1","op":"insert","outbox":"orders","stream_table":"orders","id":1,)"
                R"("created_at":"2025-11-25T10:00:00.123456Z","headers":{"trace":"t"},"payload":{"n": 1}})"}};
  EXPECT_EQ(client_.entries("orders").at(0), expected);
}

TEST_F(Redis, ManyInFlightKeepTheirOrder) {
  Instance sink(options());
  for (const auto& result : sink.deliver(events(1, 5000))) ASSERT_EQ(result.status, TIDE_STORED) << result.error;
  EXPECT_EQ(payloads(client_), numbers(1, 5000));
}

TEST_F(Redis, TakesNoMoreThanMayBeInFlight) {
  Instance sink(options({{"max_in_flight", 10L}}));
  EXPECT_EQ(sink.publish(events(1, 100)), 10u);
  EXPECT_EQ(sink.publish(events(1, 100)), 0u);
  while (sink.ack(seconds(5)).empty()) {
  }
  EXPECT_GT(sink.publish(events(11, 100)), 0u);
}

TEST_F(Redis, EachEventGoesToItsStreamAndDatabase) {
  Instance sink(with(server_.url() + "/3", {{"stream", std::vector<std::string>{"s:\x1a"}}}));
  auto all = events(1, 4, "s:a");
  all[1].subject = all[3].subject = "s:b";
  for (const auto& result : sink.deliver(all)) EXPECT_EQ(result.status, TIDE_STORED) << result.error;
  EXPECT_EQ(client_.integer({"DBSIZE"}), 0);
  client_.ask({"SELECT", "3"});
  EXPECT_EQ(payloads(client_, "s:a"), (std::vector<std::string>{"1", "3"}));
  EXPECT_EQ(payloads(client_, "s:b"), (std::vector<std::string>{"2", "4"}));
}

TEST_F(Redis, RejectsAnEventThatWouldReachAnotherName) {
  Instance sink(options({{"stream", std::vector<std::string>{"s:\x1a"}}}));
  const auto results = sink.deliver(
      {event("k1", "1", "s:a:b"), event("k2", "2", "s:{a}"), event("k3", "3", "t"), event("k4", "4", "s:a")});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(results[static_cast<std::size_t>(i)].status, TIDE_REJECTED) << i;
  EXPECT_TRUE(says(results[0].error, "has other parts than its template")) << results[0].error;
  EXPECT_EQ(results[3].status, TIDE_STORED);
}

TEST_F(Redis, KeepsAStreamToItsLength) {
  Instance sink(options({{"maxlen", 10L}, {"trim", "exact"}}));
  sink.deliver(events(1, 50));
  EXPECT_EQ(payloads(client_), numbers(41, 50));
  Instance roughly(options({{"maxlen", 10L}}));
  roughly.deliver(events(51, 1000));
  EXPECT_LT(client_.integer({"XLEN", "orders"}), 500);
}

// --- once

TEST_F(Redis, AnEventThatIsSentAgainIsAddedOnce) {
  {
    Instance sink(options());
    sink.deliver(events(1, 100));
  }
  Instance sink(options());
  const auto results = sink.deliver(events(51, 100));
  for (std::size_t i = 0; i < results.size(); ++i) {
    EXPECT_EQ(results[i].status, TIDE_STORED);
    EXPECT_EQ(results[i].duplicate, i < 50) << i;
  }
  EXPECT_EQ(payloads(client_), numbers(1, 150));
}

TEST_F(Redis, WhatWasInFlightWhenTheServerDiedIsAddedOnceAfterItsReturn) {
  {
    Instance sink(options());
    sink.publish(events(1, 500));
    server_.kill9();
    while (sink.outcome().status == TIDE_OK) sink.ack(milliseconds(100));
    EXPECT_EQ(sink.outcome().status, TIDE_RETRY);
    EXPECT_TRUE(says(sink.outcome().error, "the connection to " + server_.url() + " was lost")) << sink.outcome().error;
  }
  server_.start();
  Instance sink(options());
  for (const auto& result : sink.deliver(events(1, 500))) EXPECT_EQ(result.status, TIDE_STORED) << result.error;
  RedisClient after(server_);
  EXPECT_EQ(payloads(after), numbers(1, 500));
}

TEST_F(Redis, RemembersSoManyIdsAndForALimitedTime) {
  Instance sink(options({{"remember_ids", 100L}, {"remember_seconds", 1000L}}));
  sink.deliver(events(1, 150));
  const std::string ids = "{orders}:tide:test-pipeline:ids";
  EXPECT_EQ(client_.integer({"ZCARD", ids}), 100);
  for (const auto* what : {"ids", "turn"}) {
    const auto left = client_.integer({"TTL", "{orders}:tide:test-pipeline:" + std::string(what)});
    EXPECT_GT(left, 900);
    EXPECT_LE(left, 1000);
  }
}

TEST_F(Redis, KeysOfItsOwnStandInTheSlotOfATaggedStream) {
  Instance sink(options({{"stream", std::vector<std::string>{"orders{eu}"}}}));
  sink.deliver({event("k1", "1", "orders{eu}")});
  EXPECT_EQ(client_.integer({"EXISTS", "orders{eu}:tide:test-pipeline:ids"}), 1);
}

// --- order

// An event that fails, between others that would not: Redis is full for it alone.
TEST_F(Redis, NothingOvertakesAnEventThatIsToBeSentAgain) {
  Instance sink(options());
  sink.deliver(events(1, 1));
  sink.publish(events(2, 1));
  // Whatever was to come next, somebody takes the turn away meanwhile.
  while (payloads(client_).size() < 2) {
  }
  client_.ask({"SET", "{orders}:tide:test-pipeline:turn", "another"});
  sink.publish(events(3, 5));
  std::map<std::uint64_t, Result> results;
  while (results.size() < 6) results.merge(sink.ack(seconds(1)));
  EXPECT_EQ(results.at(2).status, TIDE_STORED);
  for (std::uint64_t token = 3; token <= 7; ++token) {
    EXPECT_EQ(results.at(token).status, TIDE_RETRY);
    EXPECT_TRUE(says(results.at(token).error, "what stands before it was not stored")) << results.at(token).error;
  }
  for (const auto& result : sink.deliver(events(3, 5))) EXPECT_EQ(result.status, TIDE_STORED) << result.error;
  EXPECT_EQ(payloads(client_), numbers(1, 7));
}

TEST_F(Redis, TakesNothingMoreUntilTheRelayKnowsOfAFailure) {
  Instance sink(options());
  client_.ask({"CONFIG", "SET", "maxmemory", "1"});
  sink.publish(events(1, 3));
  std::map<std::uint64_t, Result> results;
  while (results.empty()) results = sink.ack(seconds(1), 1);
  client_.ask({"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_EQ(sink.publish(events(4, 1)), 0u);
  while (results.size() < 3) results.merge(sink.ack(seconds(1)));
  EXPECT_EQ(sink.publish(events(1, 1)), 1u);
}

TEST_F(Redis, TheServersScriptsMayBeLostMeanwhile) {
  Instance sink(options());
  client_.ask({"SCRIPT", "FLUSH"});
  const auto results = sink.deliver(events(1, 3));
  for (const auto& result : results) EXPECT_EQ(result.status, TIDE_RETRY);
  EXPECT_TRUE(says(results[2].error, "NOSCRIPT")) << results[2].error;
  for (const auto& result : sink.deliver(events(1, 3))) EXPECT_EQ(result.status, TIDE_STORED) << result.error;
  EXPECT_EQ(payloads(client_), numbers(1, 3));
}

// --- what Redis can't take

TEST_F(Redis, AFullServerIsForAnotherTimeAndForgetsNothing) {
  Instance sink(options());
  client_.ask({"CONFIG", "SET", "maxmemory", "1"});
  const auto results = sink.deliver(events(1, 20));
  for (const auto& result : results) EXPECT_EQ(result.status, TIDE_RETRY);
  EXPECT_TRUE(says(results[0].error, "stream orders on " + server_.url() + ": OOM")) << results[0].error;
  EXPECT_TRUE(says(results[0].error, "maxmemory: raise it")) << results[0].error;
  EXPECT_TRUE(says(results[19].error, "OOM")) << "the first one's reason: " << results[19].error;
  client_.ask({"CONFIG", "SET", "maxmemory", "0"});
  for (const auto& result : sink.deliver(events(1, 20))) EXPECT_EQ(result.status, TIDE_STORED) << result.error;
  EXPECT_EQ(payloads(client_), numbers(1, 20));
}

TEST_F(Redis, AKeyOfAnotherKindStopsThePipelineWhereItsNameIsFixed) {
  Instance before(options());
  client_.ask({"SET", "orders", "text"});
  const auto result = before.deliver(events(1, 1))[0];
  EXPECT_EQ(result.status, TIDE_FATAL);
  EXPECT_TRUE(says(result.error, "holds something else than a stream")) << result.error;
  Instance sink(options());
  EXPECT_EQ(sink.connected().status, TIDE_FATAL);
  EXPECT_TRUE(says(sink.connected().error, "the key orders on " + server_.url() + " is a string"))
      << sink.connected().error;
}

TEST_F(Redis, AKeyOfAnotherKindRejectsTheEventThatNamedIt) {
  client_.ask({"SET", "s:text", "x"});
  Instance sink(options({{"stream", std::vector<std::string>{"s:\x1a"}}}));
  const auto results = sink.deliver({event("k1", "1", "s:text"), event("k2", "2", "s:a"), event("k3", "3", "s:text")});
  EXPECT_EQ(results[0].status, TIDE_REJECTED);
  EXPECT_EQ(results[1].status, TIDE_STORED);
  EXPECT_EQ(results[2].status, TIDE_REJECTED) << results[2].error;
}

TEST_F(Redis, SomethingElseWhereItRemembersIdsStopsThePipelineBeforeAnythingIsAdded) {
  client_.ask({"SET", "{orders}:tide:test-pipeline:ids", "x"});
  const auto result = send(options(), event("k1"));
  EXPECT_EQ(result.status, TIDE_FATAL);
  EXPECT_TRUE(says(result.error, "are the relay's own")) << result.error;
  EXPECT_EQ(client_.integer({"EXISTS", "orders"}), 0);
}

TEST(RedisServers, RejectsAnEventThatIsLargerThanTheServerTakes) {
  RedisServer server({"--proto-max-bulk-len", "1mb"});
  Instance sink(with(server.url()));
  const auto results = sink.deliver({event("k1", "\"" + std::string(2u << 20, 'x') + "\""), event("k2")});
  EXPECT_EQ(results[0].status, TIDE_REJECTED);
  EXPECT_TRUE(says(results[0].error, "raise proto-max-bulk-len")) << results[0].error;
  EXPECT_EQ(results[1].status, TIDE_STORED);
}

TEST(RedisServers, TooFewReplicasAreForAnotherTime) {
  RedisServer server({"--min-replicas-to-write", "1"});
  const auto result = send(with(server.url()), event("k1"));
  EXPECT_EQ(result.status, TIDE_RETRY);
  EXPECT_TRUE(says(result.error, "NOREPLICAS")) << result.error;
}

TEST(RedisServers, LeavesAServerThatBecomesAReplicaAndFindsThePrimary) {
  RedisServer one;
  RedisServer two;
  RedisClient(two).ask({"REPLICAOF", "127.0.0.1", std::to_string(one.port())});
  const auto both = with(two.url() + "," + one.url());
  Instance sink(both);
  ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
  EXPECT_TRUE(says(sink.log(), "connected to " + one.url())) << sink.log();
  EXPECT_EQ(sink.deliver(events(1, 1))[0].status, TIDE_STORED);
  ASSERT_TRUE(eventually(seconds(20), [&] { return RedisClient(two).integer({"EXISTS", "orders"}) == 1; }));

  RedisClient(two).ask({"REPLICAOF", "NO", "ONE"});
  RedisClient(one).ask({"REPLICAOF", "127.0.0.1", std::to_string(two.port())});
  const auto refused = sink.deliver(events(2, 1))[0];
  EXPECT_EQ(refused.status, TIDE_RETRY);
  EXPECT_TRUE(says(refused.error, "READONLY")) << refused.error;
  sink.ack(milliseconds(0));
  EXPECT_EQ(sink.outcome().status, TIDE_RECONNECT);
  Instance next(both);
  for (const auto& result : next.deliver(events(1, 3))) EXPECT_EQ(result.status, TIDE_STORED) << result.error;
  RedisClient client(two);
  EXPECT_EQ(payloads(client), numbers(1, 3)) << "the ids went to the replica, too";

  Instance alone(with(one.url()));
  EXPECT_EQ(alone.connected().status, TIDE_RETRY);
  EXPECT_TRUE(says(alone.connected().error, "is a replica")) << alone.connected().error;
}

// --- who may

TEST(RedisServers, AWrongPasswordOrNoneIsNamedAndNeverShown) {
  RedisServer server({"--requirepass", "secret-1"});
  Instance none(with(server.url()));
  EXPECT_EQ(none.connected().status, TIDE_FATAL);
  EXPECT_TRUE(says(none.connected().error, "NOAUTH")) << none.connected().error;
  Instance wrong(with(server.url(), {{"password", "secret-2"}}));
  EXPECT_EQ(wrong.connected().status, TIDE_FATAL);
  EXPECT_TRUE(says(wrong.connected().error, "refused to log in: WRONGPASS")) << wrong.connected().error;
  EXPECT_FALSE(says(wrong.connected().error, "secret")) << wrong.connected().error;
  EXPECT_EQ(send(with(server.url(), {{"password", "secret-1"}}), event("k1")).status, TIDE_STORED);
  const auto url = "redis://:secret-1@127.0.0.1:" + std::to_string(server.port());
  Instance in_url(with(url));
  EXPECT_EQ(in_url.deliver({event("k2")})[0].status, TIDE_STORED);
  EXPECT_FALSE(says(in_url.log(), "secret")) << in_url.log();
}

TEST_F(Redis, TheRightsThatTheDocumentNamesSuffice) {
  client_.ask({"ACL", "SETUSER", "relay", "on", ">pw", "resetkeys", "~orders", "~{orders}:tide:*", "-@all", "+ping",
               "+evalsha", "+script|load", "+xadd", "+zadd", "+zscore", "+zremrangebyrank", "+expire", "+get", "+set"});
  const Options user{{"username", "relay"}, {"password", "pw"}};
  EXPECT_EQ(send(options(user), event("k1")).status, TIDE_STORED);
  // What is missing is found before anything is added: a retry after that would add it twice.
  for (const auto* command : {"xadd", "zadd", "zscore", "zremrangebyrank", "expire", "evalsha"}) {
    client_.ask({"ACL", "SETUSER", "relay", "-" + std::string(command)});
    const auto result = send(options(user), event("k2"));
    EXPECT_EQ(result.status, TIDE_FATAL) << command << result.error;
    EXPECT_TRUE(says(result.error, "the user's ACL: it needs the keys and commands")) << command << result.error;
    client_.ask({"ACL", "SETUSER", "relay", "+" + std::string(command)});
  }
  EXPECT_EQ(client_.integer({"XLEN", "orders"}), 1);
  Instance elsewhere(
      options({{"username", "relay"}, {"password", "pw"}, {"stream", std::vector<std::string>{"other"}}}));
  EXPECT_EQ(elsewhere.deliver({event("k3", "{}", "other")})[0].status, TIDE_FATAL);
}

// --- connections

TEST_F(Redis, SpeaksOverAUnixSocket) {
  EXPECT_EQ(send(with("unix://" + server_.socket()), event("k1")).status, TIDE_STORED);
}

TEST_F(Redis, AServerThatIsGoneIsAnOutage) {
  server_.kill9();
  Instance sink(options());
  EXPECT_EQ(sink.connected().status, TIDE_RETRY);
  EXPECT_TRUE(says(sink.connected().error, "cannot connect to " + server_.url() + ": Connection refused"))
      << sink.connected().error;
}

TEST_F(Redis, TriesTheNextServerWhereOneIsGone) {
  Instance sink(with("redis://127.0.0.1:" + std::to_string(free_port()) + ", " + server_.url()));
  EXPECT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
}

TEST_F(Redis, ConnectHeedsItsDeadlineWithAServerThatHangs) {
  server_.pause();
  const auto begin = Clock::now();
  Instance sink(options(), milliseconds(2000));
  EXPECT_EQ(sink.connected().status, TIDE_RETRY);
  EXPECT_TRUE(says(sink.connected().error, "did not answer in time")) << sink.connected().error;
  EXPECT_LE(Clock::now() - begin, milliseconds(2000));
  server_.resume();
}

TEST_F(Redis, ANameThatDoesNotResolveIsAnOutage) {
  const auto begin = Clock::now();
  Instance sink(with("redis://no-such-host.invalid:6379"), milliseconds(3000));
  EXPECT_EQ(sink.connected().status, TIDE_RETRY);
  EXPECT_TRUE(says(sink.connected().error, "the name no-such-host.invalid does not resolve")) << sink.connected().error;
  EXPECT_LE(Clock::now() - begin, milliseconds(3000));
}

TEST_F(Redis, AServerThatHangsWithEventsInFlightIsGivenUpAfterItsSilence) {
  Instance sink(options({{"timeout_ms", 300L}}));
  server_.pause();
  const auto begin = Clock::now();
  sink.publish(events(1, 3));
  while (sink.outcome().status == TIDE_OK) sink.ack(milliseconds(50));
  EXPECT_EQ(sink.outcome().status, TIDE_RETRY);
  EXPECT_TRUE(says(sink.outcome().error, "has not answered for 300 ms, with 3 commands in flight"))
      << sink.outcome().error;
  EXPECT_GE(Clock::now() - begin, milliseconds(300));
  server_.resume();
}

TEST_F(Redis, NeverWaitsForAServerThatReadsNothing) {
  Instance sink(options({{"timeout_ms", 60'000L}}));
  server_.pause();
  const auto begin = Clock::now();
  const std::string payload = "\"" + std::string(1u << 20, 'x') + "\"";
  std::uint64_t taken = 0;
  while (sink.publish({event("k" + std::to_string(taken), payload)}) == 1) ++taken;
  EXPECT_LT(taken, 64u);
  EXPECT_LT(Clock::now() - begin, seconds(10));
  sink.close();
  EXPECT_LT(Clock::now() - begin, seconds(20));
  server_.resume();
}

TEST_F(Redis, SomethingThatIsNoRedisIsNamed) {
  Process other({"python3", "-c",
                 "import socket\ns = socket.create_server(('127.0.0.1', 0))\nprint(s.getsockname()[1], flush=True)\n"
                 "c, _ = s.accept()\nc.sendall(b'HTTP/1.1 400 Bad Request\\r\\n\\r\\n')\nc.recv(100000)\n"});
  ASSERT_TRUE(other.wait_for_output("\n", seconds(20)));
  auto port = other.out();
  port.pop_back();
  Instance sink(with("redis://127.0.0.1:" + port));
  EXPECT_EQ(sink.connected().status, TIDE_RETRY);
  EXPECT_TRUE(says(sink.connected().error, "is no answer of Redis")) << sink.connected().error;
}

TEST_F(Redis, OptionsThatMakeNoSenseAreRefused) {
  for (const auto& [wrong, text] : std::vector<std::pair<Options, std::string>>{
           {{{"url", "nats://h"}}, "url is not valid: it has another scheme"},
           {{{"url", "redis://:pass@h/x"}}, "a database's number"},
           {{{"url", "redis://h:0"}}, "the port must be a number"},
           {{{"url", "redis://a:p@h,redis://b"}}, "have different user info"},
           {{{"url", "redis://a,rediss://b"}}, "some servers are reached by TLS and some are not"},
           {{{"url", "redis://a:p@h"}, {"password", "q"}}, "leave one of them out"},
           {{{"username", "u"}}, "username is set without password"},
           {{{"payload_field", "id"}}, "payload_field must be"},
           {{{"payload_field", "header.x"}}, "payload_field must be"},
           {{{"tls_client_cert", "/x"}}, "belong together"},
           {{{"tls_ca_cert", "/nowhere"}}, "url has no server with TLS"},
           {{{"url", "rediss://h"}, {"tls_ca_cert", "/nowhere"}}, "cannot read tls_ca_cert '/nowhere'"}}) {
    Instance sink(with(server_.url(), wrong));
    EXPECT_EQ(sink.connected().status, TIDE_FATAL) << text;
    EXPECT_TRUE(says(sink.connected().error, text)) << sink.connected().error;
    EXPECT_FALSE(says(sink.connected().error, "pass@")) << sink.connected().error;
  }
}

// --- TLS

class RedisTls : public ::testing::Test {
 protected:
  [[nodiscard]] std::vector<std::string> server(const std::string& clients, const std::string& name = "server") const {
    return {"--tls-port",         std::to_string(port_),
            "--tls-cert-file",    certificates_.certificate(name),
            "--tls-key-file",     certificates_.key(name),
            "--tls-ca-cert-file", certificates_.ca(),
            "--tls-auth-clients", clients};
  }
  [[nodiscard]] std::string url(const std::string& host = "localhost") const {
    return "rediss://" + host + ":" + std::to_string(port_);
  }

  Certificates certificates_;
  std::uint16_t port_ = free_port();
};

TEST_F(RedisTls, DeliversToAServerThatItsCaSigned) {
  RedisServer redis(server("no"));
  Instance sink(with(url(), {{"tls_ca_cert", certificates_.ca()}}));
  ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
  auto all = events(1, 1000);
  all[500].payload = "\"" + std::string(3u << 20, 'x') + "\"";
  for (const auto& result : sink.deliver(all)) ASSERT_EQ(result.status, TIDE_STORED) << result.error;
  RedisClient client(redis);
  EXPECT_EQ(payloads(client)[500], all[500].payload);
  redis.kill9();
  while (sink.outcome().status == TIDE_OK) sink.ack(milliseconds(100));
  EXPECT_EQ(sink.outcome().status, TIDE_RETRY);
}

TEST_F(RedisTls, RefusesAServerThatNobodyVouchesForOrOfAnotherName) {
  RedisServer redis(server("no"));
  Instance strange(with(url()));
  EXPECT_EQ(strange.connected().status, TIDE_FATAL);
  EXPECT_TRUE(says(strange.connected().error, "does not verify")) << strange.connected().error;
  Instance other(with(url("127.0.0.1"), {{"tls_ca_cert", certificates_.ca()}}));
  EXPECT_EQ(other.connected().status, TIDE_FATAL);
  EXPECT_TRUE(says(other.connected().error, "mismatch")) << other.connected().error;
  Instance named(with(url("127.0.0.1"), {{"tls_ca_cert", certificates_.ca()}, {"tls_server_name", "localhost"}}));
  EXPECT_EQ(named.connected().status, TIDE_OK) << named.connected().error;
  Instance trusting(with(url("127.0.0.1"), {{"tls_verify", false}}));
  EXPECT_EQ(trusting.connected().status, TIDE_OK) << trusting.connected().error;
}

TEST_F(RedisTls, ShowsItsClientCertificate) {
  RedisServer redis(server("yes"));
  Instance sink(with(url(), {{"tls_ca_cert", certificates_.ca()},
                             {"tls_client_cert", certificates_.certificate("client")},
                             {"tls_client_key", certificates_.key("client")}}));
  ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
  EXPECT_EQ(sink.deliver({event("k")})[0].status, TIDE_STORED);
  Instance without(with(url(), {{"tls_ca_cert", certificates_.ca()}}));
  EXPECT_EQ(without.connected().status, TIDE_FATAL);
  EXPECT_TRUE(says(without.connected().error, "Check tls_client_cert")) << without.connected().error;
}

TEST_F(RedisTls, AsksNobodyForAPassphrase) {
  RedisServer redis(server("no"));
  const Instance sink(with(url(), {{"tls_ca_cert", certificates_.ca()},
                                   {"tls_client_cert", certificates_.certificate("client")},
                                   {"tls_client_key", certificates_.locked_key("client")}}));
  EXPECT_EQ(sink.connected().status, TIDE_FATAL);
  EXPECT_TRUE(says(sink.connected().error, "the key without a passphrase")) << sink.connected().error;
}

TEST_F(RedisTls, APortWithoutTlsIsNamed) {
  RedisServer redis;
  Instance sink(with("rediss://localhost:" + std::to_string(redis.port()), {{"tls_ca_cert", certificates_.ca()}}),
                milliseconds(1000));
  EXPECT_NE(sink.connected().status, TIDE_OK);
  EXPECT_TRUE(says(sink.connected().error, "TLS")) << sink.connected().error;
}

// --- the rules of the interface

TEST_F(Redis, PassesTheConformanceKit) {
  const TempDir dir;
  std::ofstream(dir / "sink.json") << R"({"sink_type": "redis_streams", "url": ")" << server_.url()
                                   << R"(", "stream": "orders", "timeout_ms": 10000})";
  const auto result = run({variable("TIDE_RELAY"), "plugins", "test", variable("TIDE_TEST_PLUGIN"), "--sink-config",
                           (dir / "sink.json").string()},
                          {}, {}, seconds(300));
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_TRUE(says(result.out, " passed, 0 failed, 0 skipped")) << result.out;
}

}  // namespace
}  // namespace tide::test
