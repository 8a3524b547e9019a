// The main job: a committed event reaches JetStream.
#include <csignal>
#include <fstream>
#include <thread>

#include "e2e/relay_program.hpp"

namespace tide::test {
namespace {

using std::chrono::seconds;

class MainPath : public Servers {
 protected:
  // The specification's complete example, statement by statement; only the port is this machine's.
  void complete_example() {
    sql("SELECT tide.outbox_create('notifications', retention_hours => 24);");
    sql(R"(SELECT tide.relay_set_outbox(
'notify-pipeline',
'notifications',
'nats-group',
'{
"sink_type": "nats",
"url": ")" +
        nats_->url() + R"(",
"subject": "notifications.{op}",
"stream": "NOTIFICATIONS"
}'::jsonb
);)");
    sql("SELECT tide.relay_enable('notify-pipeline');");
    publish_example();
  }
  void publish_example() {
    sql(R"(SELECT tide.outbox_publish(
'notifications',
'{"type": "order.shipped", "order_id": "ord-555", "customer": "alice@example.com"}'::jsonb,
'ord-555-shipped'
);)");
  }
  static void expect_the_example_once() {
    const auto stored = js().messages("NOTIFICATIONS");
    ASSERT_EQ(stored.size(), 1u);
    EXPECT_EQ(stored[0].subject, "notifications.insert");
    EXPECT_EQ(stored[0].header("Nats-Msg-Id"), "ord-555-shipped");
    EXPECT_EQ(stored[0].payload, R"({"type": "order.shipped", "customer": "alice@example.com", "order_id": "ord-555"})")
        << "the payload is what PostgreSQL prints of the jsonb, byte for byte";
  }
  void SetUp() override {
    Servers::SetUp();
    js().create_stream("NOTIFICATIONS", {"notifications.>"});
    ASSERT_EQ(relay("init").exit_code, 0);
  }
  void TearDown() override { js().delete_stream("NOTIFICATIONS"); }
};

TEST_F(MainPath, TheCompleteExampleDeliversOneMessage) {
  complete_example();
  const auto first = relay("run", {"--once"});
  EXPECT_EQ(first.exit_code, 0) << first.err;
  expect_the_example_once();
  const auto second = relay("run", {"--once"});
  EXPECT_EQ(second.exit_code, 0) << second.err;
  expect_the_example_once();
  EXPECT_EQ(sql("SELECT lag FROM tide.consumer_lag"), "0");
}

TEST_F(MainPath, AConfigurationFileAloneDeliversTheSame) {
  sql("SELECT tide.outbox_create('notifications')");
  publish_example();
  const TempDir dir;
  std::ofstream(dir / "relay.toml")
      << "[postgres]\nurl = \"${env:DATABASE_URL}\"\n"
         "[pipelines.notify-pipeline]\noutbox = \"notifications\"\ngroup = \"nats-group\"\n"
         "[pipelines.notify-pipeline.sink]\nsink_type = \"nats\"\nurl = \"${env:BROKER}\"\n"
         "subject = \"notifications.{op}\"\nstream = \"NOTIFICATIONS\"\n";
  const Environment env{{"DATABASE_URL", url_}, {"BROKER", nats_->url()}};
  for (int i = 0; i < 2; ++i) {
    const auto done = run({program(), "run", "--once", "--config", dir / "relay.toml"}, env);
    EXPECT_EQ(done.exit_code, 0) << done.err;
    expect_the_example_once();
  }
}

TEST_F(MainPath, CheckConnectsToEverything) {
  complete_example();
  const auto checked = relay("check", {"--connect"});
  EXPECT_EQ(checked.exit_code, 0) << checked.err;
  EXPECT_NE(checked.out.find("pipeline 'notify-pipeline': ok"), std::string::npos) << checked.out;
}

class Running : public Servers {};

TEST_F(Running, DeliversWhatIsCommittedWhileItRuns) {
  set_up_pipeline();
  const auto relay = start_relay();
  ASSERT_TRUE(relay->wait_for_output("running, from event", seconds(10)));
  publish(50);
  EXPECT_TRUE(js().wait_for_messages(stream_, 50, seconds(10)));
  EXPECT_TRUE(eventually(seconds(5), [&] { return sql("SELECT lag FROM tide.consumer_lag") == "0"; }));
  EXPECT_EQ(relay->terminate(), 0);
}

TEST_F(Running, KeepsTheOrderOfABacklogAndAddsNothing) {
  set_up_pipeline();
  publish(20'000);
  const auto done = relay("run", {"--once"});
  ASSERT_EQ(done.exit_code, 0) << done.err;
  const auto found = keys();
  ASSERT_EQ(found.size(), 20'000u);
  for (std::size_t i = 0; i < found.size(); ++i) ASSERT_EQ(found[i], "k" + std::to_string(i + 1));
}

TEST_F(Running, OnceOutlastsAPauseOfTheSinkAndItsOwnLease) {
  set_up_pipeline();
  publish(20'000);
  const auto once = start_relay({"--once"});
  ASSERT_TRUE(js().wait_for_messages(stream_, 1, seconds(10)));
  nats_->pause();
  std::this_thread::sleep_for(seconds(4));
  nats_->resume();
  EXPECT_EQ(once->wait(seconds(30)), 0) << once->err();
  EXPECT_EQ(keys().size(), 20'000u);
}

TEST_F(Running, SigtermDrainsAndCommits) {
  set_up_pipeline();
  publish(100'000);
  const auto relay = start_relay();
  ASSERT_TRUE(js().wait_for_messages(stream_, 5'000, seconds(20)));
  EXPECT_EQ(relay->terminate(), 0);
  const auto stored = js().info(stream_).messages;
  EXPECT_EQ(sql("SELECT last_id FROM tide.consumer_lag"), std::to_string(stored))
      << "the offset covers exactly what the stream holds";
}

TEST_F(Running, EventHeadersBecomeMessageHeaders) {
  set_up_pipeline();
  sql(R"(SELECT tide.outbox_publish('orders', '{"a": 1}', 'k', 'update', '{"trace-id": "abc", "n": 7}'))");
  ASSERT_EQ(relay("run", {"--once"}).exit_code, 0);
  const auto stored = js().messages(stream_);
  ASSERT_EQ(stored.size(), 1u);
  EXPECT_EQ(stored[0].subject, stream_ + ".update");
  EXPECT_EQ(stored[0].header("trace-id"), "abc");
  EXPECT_EQ(stored[0].header("n"), "7");
}

TEST_F(Running, AnEventWithoutAKeyHasAStableIdentity) {
  set_up_pipeline();
  sql("SELECT tide.outbox_publish('orders', '{}')");
  ASSERT_EQ(relay("run", {"--once"}).exit_code, 0);
  const auto key =
      sql("SELECT i.id || '/orders/' || m.id || '/' || (extract(epoch FROM m.created_at) * 1000000)::bigint"
          " FROM tide.installation i, tide.outbox_messages m");
  EXPECT_EQ(keys(), std::vector<std::string>{key});
}

TEST_F(Running, AMessageThatCanNeverBeStoredGoesAloneToTheDeadLetters) {
  set_up_pipeline(R"(, "subject": "x.{op}")");  // the last of two equal keys counts in jsonb
  js().create_stream("X", {"x.>"});
  publish(3);
  sql(R"(SELECT tide.outbox_publish('orders', '{}', 'bad', 'insert', '{"Nats-Rollup": "all"}'))");
  publish(3, "after");
  const auto done = relay("run", {"--once"});
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(js().info("X").messages, 6u);
  EXPECT_EQ(sql("SELECT dedup_key, op, headers, subject FROM tide.dead_letters"),
            "bad|insert|{\"Nats-Rollup\": \"all\"}|x.insert");
  js().delete_stream("X");
}

TEST_F(Running, APipelineThatIsDisabledStopsAndKeepsItsOffset) {
  set_up_pipeline();
  const auto relay = start_relay();
  publish(10);
  ASSERT_TRUE(js().wait_for_messages(stream_, 10, seconds(10)));
  sql("SELECT tide.relay_disable('p')");
  ASSERT_TRUE(eventually(seconds(5), [&] { return sql("SELECT state FROM tide.relay_pipelines") == "disabled"; }));
  publish(10, "later");
  EXPECT_EQ(sql("SELECT lag FROM tide.consumer_lag"), "10");
  sql("SELECT tide.relay_enable('p')");
  EXPECT_TRUE(js().wait_for_messages(stream_, 20, seconds(10)));
}

TEST_F(Running, AChangedConfigurationTakesEffect) {
  set_up_pipeline();
  const auto relay = start_relay();
  publish(1);
  ASSERT_TRUE(js().wait_for_messages(stream_, 1, seconds(10)));
  sql("SELECT tide.relay_set_outbox('p', 'orders', 'g', '{\"sink_type\": \"nats\", \"url\": \"" + nats_->url() +
      "\", \"subject\": \"" + stream_ + ".new\"}')");
  publish(1, "later");
  ASSERT_TRUE(js().wait_for_messages(stream_, 2, seconds(10)));
  EXPECT_TRUE(eventually(seconds(5), [&] {
    publish(1, "more" + std::to_string(js().info(stream_).messages));
    return js().messages(stream_).back().subject == stream_ + ".new";
  }));
}

TEST_F(Running, ANewGroupMayBeginWithTheLatest) {
  set_up_pipeline();
  publish(5);
  sql("SELECT tide.relay_delete('p')");
  set_pipeline(R"(, "start": "latest")");
  sql("SELECT tide.relay_enable('p')");
  publish(1, "new");
  ASSERT_EQ(relay("run", {"--once"}).exit_code, 0);
  EXPECT_EQ(keys(), std::vector<std::string>{"new1"});
}

TEST_F(Running, ASecondRelayTakesOverWhenTheFirstDies) {
  set_up_pipeline();
  const auto first = start_relay();
  ASSERT_TRUE(first->wait_for_output("running, from event", seconds(10)));
  const auto second = start_relay();
  publish(10);
  ASSERT_TRUE(js().wait_for_messages(stream_, 10, seconds(10)));
  first->kill(SIGKILL);
  publish(10, "later");
  EXPECT_TRUE(second->wait_for_output("running, from event", seconds(10)));
  EXPECT_TRUE(js().wait_for_messages(stream_, 20, seconds(10)));
  EXPECT_EQ(js().info(stream_).messages, 20u);
}

// By somebody who deletes it and sets it again, as it was: what the old one had is nobody's.
TEST_F(Running, APipelineWhoseOffsetIsDeletedBeginsAnew) {
  set_up_pipeline();
  const auto relay = start_relay();
  publish(10);
  ASSERT_TRUE(eventually(seconds(10), [&] { return sql("SELECT lag FROM tide.consumer_lag") == "0"; }));
  const auto offset = sql("SELECT offset_id FROM tide.consumer_offsets");
  sql("BEGIN; SELECT tide.relay_delete('p'); SELECT tide.relay_set_outbox('p', 'orders', 'g', '{\"sink_type\": "
      "\"nats\","
      " \"url\": \"" +
      nats_->url() + "\", \"subject\": \"" + stream_ + ".{op}\"}'); SELECT tide.relay_enable('p'); COMMIT");
  publish(10, "again");
  EXPECT_TRUE(eventually(seconds(20),
                         [&] {
                           return sql("SELECT offset_id <> " + offset +
                                      " AND last_id > 0 AND state = 'running' FROM tide.consumer_offsets") == "t";
                         }))
      << sql("SELECT * FROM tide.consumer_offsets") << relay->err();
  EXPECT_EQ(keys().size(), 20u) << "the sink knows those that were sent again";
  EXPECT_EQ(relay->terminate(), 0);
}

// Each commit updates one row: where it lies, in its page, so that nothing has to be cleaned up behind it.
TEST_F(Running, MovesItsOffsetWithinItsPage) {
  set_up_pipeline();
  const auto relay = start_relay();
  for (int i = 0; i < 30; ++i) {
    publish(10, "r" + std::to_string(i) + "-");
    ASSERT_TRUE(eventually(seconds(10), [&] { return sql("SELECT lag FROM tide.consumer_lag") == "0"; }));
  }
  EXPECT_TRUE(
      eventually(seconds(20),
                 [&] {
                   return sql("SELECT n_tup_upd >= 30 AND n_tup_hot_upd >= 0.9 * n_tup_upd FROM pg_stat_user_tables"
                              " WHERE relid = 'tide.consumer_offsets'::regclass") == "t";
                 }))
      << sql("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = "
             "'tide.consumer_offsets'::regclass");
  EXPECT_EQ(relay->terminate(), 0);
}

}  // namespace
}  // namespace tide::test
