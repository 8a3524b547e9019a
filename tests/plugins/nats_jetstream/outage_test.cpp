// Servers that are absent, die, hang or come back.
#include <gtest/gtest.h>

#include "plugins/plugin_host.hpp"
#include "support/jetstream.hpp"
#include "support/servers.hpp"
#include "support/tcp_proxy.hpp"

namespace tide::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

Options options(const std::string& url) {
  return {{"url", url}, {"subject", std::string("events.a")}};
}

class Outage : public ::testing::Test {
 protected:
  Outage() { jetstream.create_stream("EVENTS", {"events.>"}); }

  // The outcome of calling ack until it reports a broken instance; TIDE_OK when it did not in time.
  static Outcome broken_within(Instance& sink, milliseconds time) {
    for (const auto until = Clock::now() + time; Clock::now() < until;) {
      sink.ack(milliseconds(100));
      if (sink.outcome().status != TIDE_OK) break;
    }
    return sink.outcome();
  }

  NatsServer server;
  JetStream jetstream{server.url()};
};

TEST(Unreachable, AsksToRetryAndSaysWhatToCheck) {
  const Instance sink(options("nats://127.0.0.1:" + std::to_string(free_port())));
  EXPECT_EQ(sink.connected().status, TIDE_RETRY);
  for (const auto* word : {"Connection refused", "default 4222", "firewall", "seed server"})
    EXPECT_NE(sink.connected().error.find(word), std::string::npos) << sink.connected().error;
}

TEST(Unreachable, NeverShowsUserInfo) {
  const Instance sink(options("nats://joe:hidden-password@127.0.0.1:" + std::to_string(free_port())));
  EXPECT_EQ(sink.connected().status, TIDE_RETRY);
  EXPECT_EQ(sink.connected().error.find("hidden"), std::string::npos) << sink.connected().error;
}

TEST_F(Outage, ConnectGivesUpAtItsDeadlineWhenTheServerHangs) {
  server.pause();
  const auto start = Clock::now();
  const Instance sink(options(server.url()), milliseconds(1500));
  EXPECT_EQ(sink.connected().status, TIDE_RETRY) << sink.connected().error;
  EXPECT_LT(Clock::now() - start, milliseconds(2500));
  server.resume();
}

// cnats waits for ever where a server hangs after its greeting.
TEST_F(Outage, ConnectGivesUpAtItsDeadlineWhenTheServerHangsAfterItsGreeting) {
  TcpProxy proxy(server.port());
  proxy.delay(milliseconds(800));  // the greeting comes at 0.8 s, what follows would at 2.4 s
  const auto start = Clock::now();
  const Instance sink(options("nats://127.0.0.1:" + std::to_string(proxy.port())), milliseconds(1500));
  EXPECT_LT(Clock::now() - start, milliseconds(2200));
  EXPECT_EQ(sink.connected().status, TIDE_RETRY);
  EXPECT_NE(sink.connected().error.find("in time"), std::string::npos) << sink.connected().error;
}

TEST_F(Outage, UsesAnyReachableServerOfTheList) {
  const std::string dead = "nats://127.0.0.1:" + std::to_string(free_port());
  Instance sink(options(dead + ", " + server.url()));
  ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
  EXPECT_EQ(sink.deliver({{"events.a", "1"}})[0].status, TIDE_STORED);
}

TEST_F(Outage, AServerOfTheListThatHangsCostsItsShareOfTheTimeOnly) {
  NatsServer hung;
  hung.pause();
  for (int i = 0; i < 4; ++i) {  // they are tried in any order
    const Instance sink(options(hung.url() + "," + server.url()), milliseconds(6000));
    EXPECT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
  }
  hung.resume();
}

TEST_F(Outage, NoticesAKilledServerWhileIdle) {
  Instance sink(options(server.url()));
  server.kill9();
  EXPECT_EQ(broken_within(sink, seconds(2)).status, TIDE_RETRY);
}

TEST_F(Outage, NoticesAKilledServerWithMessagesInFlight) {
  Instance sink(options(server.url()));
  server.pause();
  EXPECT_EQ(sink.publish({{"events.a", "1"}}), 1u);
  server.kill9();
  const auto outcome = broken_within(sink, seconds(2));
  EXPECT_EQ(outcome.status, TIDE_RETRY);
  EXPECT_NE(outcome.error.find("lost"), std::string::npos) << outcome.error;
}

TEST_F(Outage, ReportsAKilledServerFromPublishToo) {
  Instance sink(options(server.url()));
  server.kill9();
  broken_within(sink, seconds(2));
  EXPECT_EQ(sink.publish({{"events.a", "1"}}), 0u);
  EXPECT_EQ(sink.outcome().status, TIDE_RETRY);
}

TEST_F(Outage, GivesUpOnAServerThatHangs) {
  Instance sink(options(server.url()));
  server.pause();
  EXPECT_EQ(sink.publish({{"events.a", "1"}}), 1u);
  const auto start = Clock::now();
  EXPECT_EQ(broken_within(sink, seconds(8)).status, TIDE_RETRY);
  EXPECT_GT(Clock::now() - start, seconds(4));
  EXPECT_NE(sink.outcome().error.find("no acknowledgement"), std::string::npos) << sink.outcome().error;

  const auto closing = Clock::now();
  sink.close();
  EXPECT_LT(Clock::now() - closing, seconds(2));
  server.resume();
}

TEST_F(Outage, NoticesAHungServerWhileIdle) {
  Instance sink(options(server.url()));
  server.pause();
  const auto start = Clock::now();
  EXPECT_EQ(broken_within(sink, seconds(12)).status, TIDE_RETRY);
  EXPECT_GT(Clock::now() - start, seconds(5));
  EXPECT_NE(sink.outcome().error.find("no sign of life"), std::string::npos) << sink.outcome().error;
  server.resume();
}

TEST_F(Outage, KeepsAnIdleConnectionToAServerThatAnswers) {
  Instance sink(options(server.url()));
  EXPECT_EQ(broken_within(sink, seconds(11)).status, TIDE_OK) << sink.outcome().error;
  EXPECT_EQ(sink.deliver({{"events.a", "1"}})[0].status, TIDE_STORED);
}

TEST_F(Outage, NeitherPublishNorCloseBlocksOnAServerThatHangs) {
  const std::vector<Event> events(500, {"events.a", "same", std::string(100'000, 'x')});
  Instance sink(options(server.url()));
  server.pause();
  const auto start = Clock::now();
  while (sink.publish(events) != 0) continue;
  sink.close();
  EXPECT_LT(Clock::now() - start, seconds(3));
  server.resume();
}

TEST_F(Outage, ANewInstanceSendsAgainWithoutDuplicatesInTheStream) {
  std::vector<Event> events;
  for (int i = 0; i < 2000; ++i) events.push_back({"events.a", "k" + std::to_string(i)});
  {
    Instance sink(options(server.url()));
    ASSERT_GT(sink.publish(events), 0u);
    server.kill9();
    EXPECT_EQ(broken_within(sink, seconds(2)).status, TIDE_RETRY);
  }
  server.start();

  Instance sink(options(server.url()));
  ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
  for (const auto& result : sink.deliver(events)) ASSERT_EQ(result.status, TIDE_STORED) << result.error;

  const auto stored = jetstream.messages("EVENTS");
  ASSERT_EQ(stored.size(), events.size());
  for (std::size_t i = 0; i < stored.size(); ++i) ASSERT_EQ(stored[i].header("Nats-Msg-Id"), events[i].key);
}

}  // namespace
}  // namespace tide::test
