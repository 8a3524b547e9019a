// Proves the servers of tests/support: other tests stop and restart them to see what the relay does.
#include <gtest/gtest.h>

#include <csignal>

#include "support/jetstream.hpp"
#include "support/servers.hpp"

namespace tide::test {
namespace {

using namespace std::chrono_literals;

TEST(Process, CapturesBothStreamsAndTheExitCode) {
  const auto result = run({"sh", "-c", "cat; echo \"$WORD\" >&2; exit 3"}, {{"WORD", "heard"}}, "spoken");
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.out, "spoken");
  EXPECT_EQ(result.err, "heard\n");
}

TEST(Process, SaysWhyACommandCanNotRun) {
  EXPECT_THROW(run({"/does/not/exist"}), std::system_error);
}

TEST(Process, EndsOneThatIgnoresSigterm) {
  Process process({"sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"});
  ASSERT_TRUE(process.wait_for_output("ready", 5s));
  EXPECT_EQ(process.terminate(50ms), 128 + SIGKILL);
}

TEST(PostgresServer, KeepsItsDataOverBothKindsOfStop) {
  PostgresServer postgres;
  const auto url = postgres.create_database();
  EXPECT_NE(url, postgres.create_database());
  postgres.psql(url, "CREATE TABLE t (n int); INSERT INTO t VALUES (1), (2)");
  for (const Stop mode : {Stop::fast, Stop::immediate}) {
    postgres.stop(mode);
    EXPECT_THROW(postgres.psql(url, "SELECT 1"), std::runtime_error);
    postgres.start();
    EXPECT_EQ(postgres.psql(url, "SELECT count(*), sum(n) FROM t"), "2|3");
  }
  EXPECT_THROW(postgres.psql(url, "SELECT * FROM missing"), std::runtime_error);
}

TEST(PostgresServer, AnswersNothingWhilePaused) {
  PostgresServer postgres;
  Process session({"psql", "-XAtqd", postgres.url(), "-c", "SELECT pg_sleep(2)", "-c", "SELECT 'done'"});
  postgres.pause();
  EXPECT_FALSE(session.wait(3s));
  postgres.resume();
  EXPECT_EQ(session.wait(10s), 0);
}

TEST(PostgresServer, HasAStandbyThatKeepsWhatItReceivedAndTakesOver) {
  PostgresServer primary;
  PostgresServer standby(StandbyOf{primary});
  primary.wait_for_standby(true);
  primary.psql(primary.url(), "CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
  EXPECT_THROW(standby.psql(standby.url(), "INSERT INTO t VALUES (2)"), std::runtime_error) << "it is read-only";
  primary.wait_for_standby(false);
  standby.stop_following();
  primary.psql(primary.url(), "INSERT INTO t VALUES (3)");
  primary.kill9();
  EXPECT_THROW(primary.psql(primary.url(), "SELECT 1"), std::runtime_error);
  standby.promote();
  standby.psql(standby.url(), "INSERT INTO t VALUES (4)");
  EXPECT_EQ(standby.psql(standby.url(), "SELECT string_agg(n::text, ' ' ORDER BY n) FROM t"), "1 4");
  primary.follow(standby);
  EXPECT_EQ(primary.psql(primary.url(), "SELECT count(*), pg_is_in_recovery() FROM t"), "2|t");
}

TEST(NatsServer, KeepsAStreamOverStopAndKill) {
  NatsServer nats;
  {
    JetStream js(nats.url());
    js.create_stream("S", {"s.>"});
    EXPECT_EQ(js.publish("s.a", "first", "id-1"), 1U);
    EXPECT_EQ(js.publish("s.a", "again", "id-1"), 1U);
    EXPECT_EQ(js.publish("s.b", "second"), 2U);
  }
  nats.stop();
  EXPECT_THROW(JetStream{nats.url()}, std::runtime_error);
  nats.start();
  nats.kill9();
  nats.start();
  JetStream js(nats.url());
  const auto messages = js.messages("S");
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_EQ(messages[0].subject, "s.a");
  EXPECT_EQ(messages[0].payload, "first");
  EXPECT_EQ(messages[0].header("Nats-Msg-Id"), "id-1");
  EXPECT_EQ(messages[1].sequence, 2U);
  EXPECT_EQ(js.info("S").duplicate_window, 2min);
  js.purge("S");
  EXPECT_TRUE(js.messages("S").empty());
}

TEST(NatsServer, ASubscriberSeesWhatIsPublished) {
  NatsServer nats;
  JetStream js(nats.url());
  js.create_stream("S", {"s.>"}, {.duplicate_window = 1s, .storage = js_MemoryStorage});
  auto subscription = js.subscribe("s.>");
  js.publish("s.a", "hello");
  const auto message = subscription.next(5s);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->payload, "hello");
  EXPECT_FALSE(subscription.next(10ms));
}

TEST(NatsServer, PausesAndResumes) {
  NatsServer nats;
  JetStream js(nats.url());
  js.create_stream("S", {"s"});
  nats.pause();
  EXPECT_THROW(js.publish("s", "late", {}, 100ms), std::runtime_error);
  nats.resume();
  EXPECT_TRUE(js.wait_for_messages("S", 1, 10s));
}

TEST(NatsServer, SaysWhyItDoesNotStart) {
  try {
    NatsServer nats("no_such_option: {");
    FAIL() << "it started";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("Parse error"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace tide::test
