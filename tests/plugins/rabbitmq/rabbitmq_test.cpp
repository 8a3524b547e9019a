// The sink rabbitmq against a real rabbitmq-server, in every state that one can be in.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "plugins/plugin_host.hpp"
#include "support/certificates.hpp"
#include "support/rabbit_server.hpp"

namespace tide::test {
namespace {

using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// To a queue, by the default exchange, unless it says otherwise.
Event event(const std::string& queue, const std::string& key, const std::string& payload = "{}") {
  Event event;
  event.subject = queue;
  event.key = key;
  event.payload = payload;
  return event;
}

std::vector<Event> events(const std::string& queue, int from, int count) {
  std::vector<Event> all;
  for (int n = from; n < from + count; ++n) all.push_back(event(queue, "k" + std::to_string(n), std::to_string(n)));
  return all;
}

std::vector<std::string> numbers(int from, int to) {
  std::vector<std::string> all;
  for (int n = from; n <= to; ++n) all.push_back(std::to_string(n));
  return all;
}

// One server for all tests; each has queues of its own, named after it.
class Rabbit : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    certificates_ = std::make_unique<Certificates>();
    server_ = std::make_unique<RabbitServer>(
        "listeners.ssl.1 = 127.0.0.1:{tls_port}\nssl_options.cacertfile = " + certificates_->ca() +
            "\nssl_options.certfile = " + certificates_->certificate("server") +
            "\nssl_options.keyfile = " + certificates_->key("server") +
            "\nssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = false"
            "\nauth_mechanisms.1 = PLAIN\nauth_mechanisms.2 = EXTERNAL\nssl_cert_login_from = common_name"
            "\nmax_message_size = 12000000",
        "rabbitmq_auth_mechanism_ssl");
  }
  static void TearDownTestSuite() {
    server_.reset();
    certificates_.reset();
  }

  Rabbit() : name_(::testing::UnitTest::GetInstance()->current_test_info()->name()) {}

  [[nodiscard]] Options options(Options more = {}) const {
    more.try_emplace("url", server_->url());
    more.try_emplace("routing_key", std::vector<std::string>{"\x1a"});
    return more;
  }

  inline static std::unique_ptr<Certificates> certificates_;
  inline static std::unique_ptr<RabbitServer> server_;
  const std::string name_;
};

// --- what arrives

TEST_F(Rabbit, AMessageHasTheKeyAsItsIdAndTheEventsHeaders) {
  RabbitClient client(*server_);
  client.queue(name_);
  Instance sink(options());
  ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
  auto one = event(name_, "key-1", R"({"a": "ä"})");
  one.headers = {{"trace", "t-7"}, {"empty", ""}};
  auto two = event(name_, std::string(1000, 'k'));
  two.headers = {{"Content-Type", "application/cloudevents+json"}};
  for (const auto& result : sink.deliver({one, two})) ASSERT_EQ(result.status, TIDE_STORED) << result.error;
  const auto got = client.take(name_);
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0].body, R"({"a": "ä"})");
  EXPECT_EQ(got[0].message_id, "key-1");
  EXPECT_EQ(got[0].content_type, "application/json");
  EXPECT_EQ(got[0].type, "insert");
  EXPECT_EQ(got[0].delivery_mode, 2);
  EXPECT_EQ(got[0].timestamp, 1'764'064'800u);
  EXPECT_EQ(got[0].headers.at("trace"), "t-7");
  EXPECT_EQ(got[0].headers.at("empty"), "");
  EXPECT_EQ(got[1].content_type, "application/cloudevents+json");
  EXPECT_TRUE(got[1].message_id.starts_with("sha256-")) << "AMQP's ids have 255 bytes: " << got[1].message_id;
  EXPECT_EQ(got[1].headers.at("tide-key"), std::string(1000, 'k'));
}

TEST_F(Rabbit, AnEnvelopeHoldsAllThatIsKnown) {
  RabbitClient client(*server_);
  client.queue(name_);
  Instance sink(options({{"body", "envelope"}, {"persistent", false}, {"content_type", "text/x"}}));
  ASSERT_EQ(sink.deliver({event(name_, "k1", R"({"n": 1})")})[0].status, TIDE_STORED);
  const auto got = client.take(name_).at(0);
  EXPECT_TRUE(got.body.starts_with(R"({"key":"k1","op":"insert","outbox":"orders",)")) << got.body;
  EXPECT_EQ(got.delivery_mode, 1);
  EXPECT_EQ(got.content_type, "text/x");
}

TEST_F(Rabbit, ManyInFlightKeepTheirOrder) {
  RabbitClient client(*server_);
  client.queue(name_);
  Instance sink(options());
  auto all = events(name_, 1, 3000);
  for (const auto& result : sink.deliver(all)) ASSERT_EQ(result.status, TIDE_STORED) << result.error;
  EXPECT_EQ(client.bodies(name_), numbers(1, 3000));
}

TEST_F(Rabbit, LargeBodiesAreWhole) {
  RabbitClient client(*server_);
  client.queue(name_);
  Instance sink(options());
  std::vector<Event> all;
  for (const std::size_t size : {131'064u, 131'065u, 400'000u, 5'000'000u})
    all.push_back(event(name_, "k" + std::to_string(size), std::string(size, 'x')));
  for (const auto& result : sink.deliver(all)) ASSERT_EQ(result.status, TIDE_STORED) << result.error;
  const auto got = client.bodies(name_);
  ASSERT_EQ(got.size(), all.size());
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_TRUE(got[i] == all[i].payload) << got[i].size();
}

TEST_F(Rabbit, AnExchangeRoutesByTheKey) {
  RabbitClient client(*server_);
  client.exchange(name_);
  client.queue(name_ + ".a");
  client.queue(name_ + ".b");
  client.bind(name_ + ".a", name_, "orders.insert");
  client.bind(name_ + ".b", name_, "orders.#");
  Instance sink(options({{"exchange", std::vector<std::string>{name_}}}));
  auto all = events("orders.insert", 1, 2);
  all[1].subject = "orders.delete";
  for (auto& one : all) one.order = name_;
  for (const auto& result : sink.deliver(all)) ASSERT_EQ(result.status, TIDE_STORED) << result.error;
  EXPECT_EQ(client.bodies(name_ + ".a"), numbers(1, 1));
  EXPECT_EQ(client.take(name_ + ".b").at(1).routing_key, "orders.delete");
}

TEST_F(Rabbit, TakesNoMoreThanMayBeInFlight) {
  RabbitClient client(*server_);
  client.queue(name_);
  Instance sink(options({{"max_in_flight", 10L}}));
  EXPECT_EQ(sink.publish(events(name_, 1, 100)), 10u);
  EXPECT_EQ(sink.publish(events(name_, 1, 100)), 0u);
  while (sink.ack(seconds(5)).empty()) {
  }
  EXPECT_GT(sink.publish(events(name_, 11, 100)), 0u);
}

TEST_F(Rabbit, RejectsWhatAmqpCanNotSayOrWouldSendElsewhere) {
  RabbitClient client(*server_);
  client.queue(name_);
  Instance sink(options());
  auto all = events(name_, 1, 5);
  all[0].subject = std::string(256, 'q');
  all[1].headers = {{"CC", "other"}};
  all[2].headers = {{std::string(256, 'h'), "x"}};
  all[3].headers = {{"large", std::string(200'000, 'x')}};
  const auto results = sink.deliver(all);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(results[static_cast<std::size_t>(i)].status, TIDE_REJECTED) << i;
  EXPECT_TRUE(says(results[1].error, "to other queues, too")) << results[1].error;
  EXPECT_TRUE(says(results[3].error, "headers are larger")) << results[3].error;
  EXPECT_EQ(results[4].status, TIDE_STORED);
  EXPECT_EQ(client.bodies(name_), numbers(5, 5));
}

// --- what the server can't take

TEST_F(Rabbit, AnEventThatNoQueueTakesIsRejectedAndTheRestFlowsOn) {
  RabbitClient client(*server_);
  client.queue(name_);
  Instance sink(options());
  auto all = events(name_, 1, 3);
  all[1].subject = "no-such-queue";
  const auto results = sink.deliver(all);
  EXPECT_EQ(results[0].status, TIDE_STORED);
  EXPECT_EQ(results[1].status, TIDE_REJECTED);
  EXPECT_EQ(results[1].native_code, 312);
  EXPECT_TRUE(says(results[1].error, "the default exchange, routing key no-such-queue, on " + server_->url() +
                                         ": no queue takes it: NO_ROUTE (312). Declare a queue of that name"))
      << results[1].error;
  EXPECT_EQ(results[2].status, TIDE_STORED);
}

TEST_F(Rabbit, AnEventThatNoQueueTakesMayWaitForOne) {
  RabbitClient client(*server_);
  client.exchange(name_);
  Instance sink(options({{"exchange", std::vector<std::string>{name_}}, {"unroutable", "retry"}}));
  auto all = events("k", 1, 2);
  for (auto& one : all) one.order = name_;
  for (const auto& result : sink.deliver(all)) {
    EXPECT_EQ(result.status, TIDE_RETRY);
    EXPECT_TRUE(says(result.error, "Bind a queue to the exchange")) << result.error;
  }
  client.queue(name_);
  client.bind(name_, name_, "#");
  for (const auto& result : sink.deliver(all)) EXPECT_EQ(result.status, TIDE_STORED);
  EXPECT_EQ(client.bodies(name_), numbers(1, 2));
}

TEST_F(Rabbit, AFullQueueIsForAnotherTime) {
  RabbitClient client(*server_);
  client.queue(name_, 2);
  Instance sink(options({{"max_in_flight", 1L}}));
  std::vector<Result> results;
  for (int n = 1; n <= 4; ++n) results.push_back(sink.deliver(events(name_, n, 1))[0]);
  EXPECT_EQ(results.front().status, TIDE_STORED);
  EXPECT_EQ(results.back().status, TIDE_RETRY);
  EXPECT_TRUE(says(results.back().error, "refused it for now (basic.nack)")) << results.back().error;
  client.take(name_);
  EXPECT_EQ(sink.deliver(events(name_, 4, 1))[0].status, TIDE_STORED);
}

// As the relay does it: what must be sent again goes first, once nothing is in flight.
TEST_F(Rabbit, EventsOfOneKeyKeepTheirOrderWhenTheServerRefusesSome) {
  RabbitClient client(*server_);
  client.queue(name_, 3);
  Instance sink(options({{"order_by", std::vector<std::string>{"\x1a"}}}));
  std::vector<Event> left;
  for (int n = 0; n < 60; ++n) {
    left.push_back(event(name_, "k" + std::to_string(n), std::to_string(n)));
    left.back().third = "customer-" + std::to_string(n % 4);
  }
  std::vector<std::string> arrived;
  const auto until = Clock::now() + seconds(60);
  while (!left.empty() && Clock::now() < until) {
    const auto taken = sink.publish(left);
    EXPECT_LE(taken, 4u) << "one of each key";
    std::map<std::uint64_t, Result> results;
    while (results.size() < taken) results.merge(sink.ack(seconds(1)));
    std::vector<Event> again;
    std::size_t i = 0;
    for (const auto& [token, result] : results) {
      if (result.status == TIDE_RETRY) again.push_back(left[i]);
      ++i;
    }
    left.erase(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(taken));
    left.insert(left.begin(), again.begin(), again.end());
    for (auto& body : client.bodies(name_)) arrived.push_back(body);
  }
  EXPECT_EQ(arrived.size(), 60u);
  std::map<int, int> last;
  for (const auto& body : arrived) {
    const int n = std::stoi(body);
    EXPECT_TRUE(!last.contains(n % 4) || last[n % 4] < n) << n << " after " << last[n % 4];
    last[n % 4] = n;
  }
}

TEST_F(Rabbit, AnExchangeThatIsMissingStopsThePipelineAtConnectAndLater) {
  const Options to{{"exchange", std::vector<std::string>{name_}}};
  Instance none(options(to));
  EXPECT_EQ(none.connected().status, TIDE_FATAL);
  EXPECT_TRUE(says(none.connected().error, "exchange " + name_ + " of virtual host / on " + server_->url() +
                                               ": NOT_FOUND - no exchange '" + name_ + "' in vhost '/' (404). Declare"))
      << none.connected().error;
  RabbitClient client(*server_);
  client.exchange(name_);
  Instance sink(options(to));
  ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
  client.delete_exchange(name_);
  auto one = event("k", "k1");
  one.order = name_;
  const auto result = sink.deliver({one})[0];
  EXPECT_EQ(result.status, TIDE_FATAL);
  EXPECT_TRUE(says(result.error, "the server closed the channel: NOT_FOUND")) << result.error;
}

TEST_F(Rabbit, AnExchangeThatOnlyAnEventNamesRejectsThatEvent) {
  RabbitClient client(*server_);
  client.exchange(name_);
  client.queue(name_);
  client.bind(name_, name_, "#");
  Instance sink(options({{"exchange", std::vector<std::string>{"\x1a"}}}));
  auto all = events("k", 1, 5);
  for (auto& one : all) one.order = name_;
  all[2].order = "no-such-exchange";
  const auto results = sink.deliver(all);
  EXPECT_EQ(results[2].status, TIDE_REJECTED) << results[2].error;
  std::vector<Event> again;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (results[i].status == TIDE_RETRY) again.push_back(all[i]);
  EXPECT_GE(again.size(), 2u) << "those behind it";
  for (const auto& result : sink.deliver(again)) EXPECT_EQ(result.status, TIDE_STORED) << result.error;
  const auto got = client.bodies(name_);
  EXPECT_EQ(std::set<std::string>(got.begin(), got.end()), (std::set<std::string>{"1", "2", "4", "5"}));
}

TEST_F(Rabbit, AMessageThatIsTooLargeIsRejectedAndTheRestFlowsOn) {
  RabbitClient client(*server_);
  client.queue(name_);
  Instance sink(options());
  const auto results = sink.deliver({event(name_, "k1", std::string(12'000'001, 'x')), event(name_, "k2", "2")});
  EXPECT_EQ(results[0].status, TIDE_REJECTED) << results[0].status;
  EXPECT_TRUE(says(results[0].error, "Raise the server's max_message_size")) << results[0].error;
  const auto second = results[1].status == TIDE_STORED ? results[1] : sink.deliver({event(name_, "k2", "2")})[0];
  EXPECT_EQ(second.status, TIDE_STORED) << second.error;
  EXPECT_EQ(client.bodies(name_), numbers(2, 2));
}

TEST_F(Rabbit, AServerThatRunsOutOfMemoryHoldsThePipelineUpAndNothingIsLost) {
  RabbitClient client(*server_);
  client.queue(name_);
  Instance sink(options({{"timeout_ms", 3000L}}));
  server_->ctl({"set_vm_memory_high_watermark", "absolute", "1"});
  sink.publish(events(name_, 1, 1));
  const auto until = Clock::now() + seconds(30);
  while (!says(sink.log(), "takes no messages for now: low on memory") && Clock::now() < until)
    EXPECT_TRUE(sink.ack(milliseconds(50)).empty());
  EXPECT_EQ(sink.publish(events(name_, 2, 10)), 0u);
  const auto longer = Clock::now() + milliseconds(4000);
  while (Clock::now() < longer) sink.ack(milliseconds(100));
  EXPECT_EQ(sink.outcome().status, TIDE_OK) << "that is no silence: " << sink.outcome().error;
  server_->ctl({"set_vm_memory_high_watermark", "0.8"});
  std::map<std::uint64_t, Result> results;
  while (results.empty() && Clock::now() < until + seconds(30)) results = sink.ack(seconds(1));
  EXPECT_EQ(results.at(1).status, TIDE_STORED);
  for (const auto& result : sink.deliver(events(name_, 2, 10))) EXPECT_EQ(result.status, TIDE_STORED) << result.error;
  EXPECT_EQ(client.bodies(name_), numbers(1, 11));
}

// --- who may

TEST_F(Rabbit, WhoMayNotLogInIsToldWhyAndNoSecretIsShown) {
  Instance wrong(options({{"username", "guest"}, {"password", "secret-1"}}));
  EXPECT_EQ(wrong.connected().status, TIDE_FATAL);
  EXPECT_TRUE(says(wrong.connected().error, "ACCESS_REFUSED - Login was refused")) << wrong.connected().error;
  EXPECT_TRUE(says(wrong.connected().error, "Check username and password")) << wrong.connected().error;
  EXPECT_FALSE(says(wrong.connected().error, "secret")) << wrong.connected().error;
  Instance nowhere(options({{"vhost", "nowhere"}}));
  EXPECT_EQ(nowhere.connected().status, TIDE_FATAL);
  EXPECT_TRUE(says(nowhere.connected().error, "vhost nowhere not found")) << nowhere.connected().error;
}

TEST_F(Rabbit, TheRightToWriteSufficesAndIsNeeded) {
  server_->ctl({"add_vhost", name_});
  server_->ctl({"add_user", "relay", "p@ss/word"});
  server_->ctl({"set_permissions", "-p", name_, "relay", "", "", ""});
  const auto port = std::to_string(server_->port());
  const Options user{{"url", "amqp://relay:p%40ss%2Fword@127.0.0.1:" + port + "/" + name_},
                     {"exchange", std::vector<std::string>{"amq.topic"}}};
  auto one = event("k", "k1");
  one.order = "amq.topic";
  {
    Instance sink(options(user));
    ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
    const auto result = sink.deliver({one})[0];
    EXPECT_EQ(result.status, TIDE_FATAL);
    EXPECT_TRUE(says(result.error, "ACCESS_REFUSED")) << result.error;
    EXPECT_TRUE(says(result.error, "Give the user the right to write")) << result.error;
  }
  server_->ctl({"set_permissions", "-p", name_, "relay", "", "amq.topic", ""});
  Instance sink(options(user));
  const auto result = sink.deliver({one})[0];
  EXPECT_EQ(result.status, TIDE_REJECTED) << "no queue is bound: " << result.error;
}

// --- connections

TEST_F(Rabbit, AConnectionThatTheServerClosesIsAnOutage) {
  RabbitClient client(*server_);
  client.queue(name_);
  Instance sink(options());
  sink.deliver(events(name_, 1, 1));
  server_->ctl({"close_all_connections", "by-the-test"});
  const auto until = Clock::now() + seconds(20);
  while (sink.outcome().status == TIDE_OK && Clock::now() < until) sink.ack(milliseconds(100));
  EXPECT_EQ(sink.outcome().status, TIDE_RETRY);
  EXPECT_TRUE(says(sink.outcome().error, "closed the connection: CONNECTION_FORCED - by-the-test (320)"))
      << sink.outcome().error;
}

TEST_F(Rabbit, AConnectionLivesWithNothingToSay) {
  RabbitClient client(*server_);
  client.queue(name_);
  Instance sink(options({{"heartbeat_seconds", 2L}}));
  const auto until = Clock::now() + seconds(8);
  while (Clock::now() < until) {
    sink.ack(milliseconds(200));
    ASSERT_EQ(sink.outcome().status, TIDE_OK) << sink.outcome().error;
  }
  EXPECT_EQ(sink.deliver(events(name_, 1, 1))[0].status, TIDE_STORED);
}

TEST_F(Rabbit, AServerThatHangsIsAnOutageAtConnectAndLater) {
  RabbitClient client(*server_);
  client.queue(name_);
  Instance sink(options({{"heartbeat_seconds", 1L}}));
  sink.deliver(events(name_, 1, 1));
  server_->pause();
  auto begin = Clock::now();
  Instance late(options(), milliseconds(2000));
  EXPECT_EQ(late.connected().status, TIDE_RETRY);
  EXPECT_TRUE(says(late.connected().error, "did not answer in time")) << late.connected().error;
  EXPECT_LE(Clock::now() - begin, milliseconds(2000));
  sink.publish(events(name_, 2, 1));
  while (sink.outcome().status == TIDE_OK && Clock::now() < begin + seconds(20)) sink.ack(milliseconds(100));
  EXPECT_EQ(sink.outcome().status, TIDE_RETRY);
  EXPECT_TRUE(says(sink.outcome().error, "gave no sign of life for 2 s")) << sink.outcome().error;
  // Nor does it hold up whoever publishes.
  begin = Clock::now();
  Instance large(options(), milliseconds(300));
  sink.close();
  EXPECT_LT(Clock::now() - begin, seconds(5));
  server_->resume();
}

TEST_F(Rabbit, AServerThatConfirmsNothingIsGivenUp) {
  RabbitClient client(*server_);
  client.queue(name_);
  Instance sink(options({{"heartbeat_seconds", 60L}, {"timeout_ms", 500L}}));
  server_->pause();
  const std::string payload = "\"" + std::string(1u << 20, 'x') + "\"";
  const auto begin = Clock::now();
  std::uint64_t taken = 0;
  while (sink.publish({event(name_, "k" + std::to_string(taken), payload)}) == 1) ++taken;
  EXPECT_LT(taken, 64u) << "what is sent and not confirmed is bounded";
  EXPECT_LT(Clock::now() - begin, seconds(10)) << "and publish waits for nothing";
  while (sink.outcome().status == TIDE_OK) sink.ack(milliseconds(100));
  EXPECT_EQ(sink.outcome().status, TIDE_RETRY);
  EXPECT_TRUE(says(sink.outcome().error, "did not confirm a message within 500 ms")) << sink.outcome().error;
  server_->resume();
}

TEST_F(Rabbit, TriesTheNextServerWhereOneIsGone) {
  Instance sink(options({{"url", "amqp://127.0.0.1:" + std::to_string(free_port()) + "," + server_->url()}}));
  EXPECT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
  Instance none(options({{"url", "amqp://127.0.0.1:" + std::to_string(free_port())}}));
  EXPECT_EQ(none.connected().status, TIDE_RETRY);
  EXPECT_TRUE(says(none.connected().error, "Connection refused")) << none.connected().error;
}

TEST_F(Rabbit, SomethingThatIsNoRabbitIsNamed) {
  Process other({"python3", "-c",
                 "import socket\ns = socket.create_server(('127.0.0.1', 0))\nprint(s.getsockname()[1], flush=True)\n"
                 "c, _ = s.accept()\nc.sendall(b'HTTP/1.1 400 Bad Request\\r\\n\\r\\n' + b'x' * 200000)\n"
                 "c.recv(100000)\n"});
  ASSERT_TRUE(other.wait_for_output("\n", seconds(20)));
  auto port = other.out();
  port.pop_back();
  Instance sink(options({{"url", "amqp://127.0.0.1:" + port}}));
  EXPECT_EQ(sink.connected().status, TIDE_RETRY);
  EXPECT_TRUE(says(sink.connected().error, "is no AMQP")) << sink.connected().error;
}

TEST_F(Rabbit, OptionsThatMakeNoSenseAreRefused) {
  for (const auto& [wrong, text] : std::vector<std::pair<Options, std::string>>{
           {{{"url", "http://h"}}, "url is not valid: it has another scheme"},
           {{{"url", "amqp://h/a"}, {"vhost", "b"}}, "url names a virtual host, and vhost another"},
           {{{"url", "amqp://u:pass@h"}, {"username", "v"}}, "leave one of them out"},
           {{{"username", "u"}}, "belong together"},
           {{{"auth", "external"}}, "needs tls_client_cert"},
           {{{"exchange", std::vector<std::string>{std::string(256, 'e')}}}, "longer than 255 bytes"},
           {{{"tls_ca_cert", "/nowhere"}}, "url has no server with TLS"}}) {
    Instance sink(options(wrong));
    EXPECT_EQ(sink.connected().status, TIDE_FATAL) << text;
    EXPECT_TRUE(says(sink.connected().error, text)) << sink.connected().error;
    EXPECT_FALSE(says(sink.connected().error, "pass@")) << sink.connected().error;
  }
}

// --- TLS

TEST_F(Rabbit, DeliversByTlsToAServerThatItsCaSigned) {
  RabbitClient client(*server_);
  client.queue(name_);
  Instance sink(options({{"url", server_->tls_url()}, {"tls_ca_cert", certificates_->ca()}}));
  ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
  auto all = events(name_, 1, 500);
  all[250].payload = std::string(3u << 20, 'x');
  for (const auto& result : sink.deliver(all)) ASSERT_EQ(result.status, TIDE_STORED) << result.error;
  EXPECT_EQ(client.bodies(name_).size(), 500u);
}

TEST_F(Rabbit, RefusesAServerThatNobodyVouchesForOrOfAnotherName) {
  Instance strange(options({{"url", server_->tls_url()}}));
  EXPECT_EQ(strange.connected().status, TIDE_FATAL);
  EXPECT_TRUE(says(strange.connected().error, "does not verify")) << strange.connected().error;
  Instance other(options({{"url", server_->tls_url("127.0.0.1")}, {"tls_ca_cert", certificates_->ca()}}));
  EXPECT_EQ(other.connected().status, TIDE_FATAL);
  EXPECT_TRUE(says(other.connected().error, "mismatch")) << other.connected().error;
  Instance plain(
      options({{"url", "amqps://localhost:" + std::to_string(server_->port())}, {"tls_ca_cert", certificates_->ca()}}));
  EXPECT_NE(plain.connected().status, TIDE_OK);
  EXPECT_TRUE(says(plain.connected().error, "TLS")) << plain.connected().error;
}

TEST_F(Rabbit, LogsInAsItsClientCertificateSays) {
  const Options tls{{"url", server_->tls_url()},
                    {"tls_ca_cert", certificates_->ca()},
                    {"tls_client_cert", certificates_->certificate("client")},
                    {"tls_client_key", certificates_->key("client")},
                    {"auth", "external"}};
  Instance unknown(options(tls));
  EXPECT_EQ(unknown.connected().status, TIDE_FATAL) << unknown.connected().error;
  server_->ctl({"add_user", "localhost", "unused"});
  server_->ctl({"set_permissions", "-p", "/", "localhost", "", ".*", ""});
  Instance sink(options(tls));
  EXPECT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
}

// --- the rules of the interface, and a crash

TEST_F(Rabbit, PassesTheConformanceKit) {
  RabbitClient client(*server_);
  client.queue(name_);
  const TempDir dir;
  std::ofstream(dir / "sink.json") << R"({"sink_type": "rabbitmq", "url": ")" << server_->url()
                                   << R"(", "routing_key": ")" << name_ << R"(", "timeout_ms": 10000})";
  const auto result = run({variable("TIDE_RELAY"), "plugins", "test", variable("TIDE_TEST_PLUGIN"), "--sink-config",
                           (dir / "sink.json").string()},
                          {}, {}, seconds(300));
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_TRUE(says(result.out, " passed, 0 failed, 0 skipped")) << result.out;
}

TEST_F(Rabbit, WhatWasInFlightWhenTheServerDiedArrivesAfterItsReturn) {
  RabbitClient(*server_).queue(name_);
  server_->wait_until_on_disk(name_);
  {
    Instance sink(options());
    sink.publish(events(name_, 1, 500));
    sink.ack(milliseconds(0));
    server_->kill9();
    while (sink.outcome().status == TIDE_OK) sink.ack(milliseconds(100));
    EXPECT_EQ(sink.outcome().status, TIDE_RETRY);
    EXPECT_TRUE(says(sink.outcome().error, "was lost")) << sink.outcome().error;
  }
  server_->start();
  Instance sink(options());
  for (const auto& result : sink.deliver(events(name_, 1, 500)))
    ASSERT_EQ(result.status, TIDE_STORED) << result.error << sink.outcome().error;
  RabbitClient client(*server_);
  std::vector<std::string> first;
  for (auto& body : client.bodies(name_))
    if (std::find(first.begin(), first.end(), body) == first.end()) first.push_back(body);
  EXPECT_EQ(first, numbers(1, 500));
}

}  // namespace
}  // namespace tide::test
