// Where events go by their content, and under which ids: from the SQL statement to the streams.
#include <algorithm>

#include "e2e/relay_program.hpp"

namespace tide::test {
namespace {

using std::chrono::seconds;

class Routes : public Servers {
 protected:
  void set_routes(const std::string& routes) { set_up_pipeline(R"(, "routes": )" + routes); }
  void deliver() const {
    const auto done = relay("run", {"--once"});
    ASSERT_EQ(done.exit_code, 0) << done.err;
    EXPECT_EQ(sql("SELECT sum(lag) FROM tide.consumer_lag"), "0");
  }
  // "subject id" of each message, in the stream's order.
  [[nodiscard]] std::vector<std::string> stored() const {
    std::vector<std::string> found;
    for (const auto& m : js().messages(stream_)) found.push_back(m.subject + " " + m.header("Nats-Msg-Id"));
    return found;
  }
  // A second pipeline of the outbox into the same stream.
  void add_pipeline(const std::string& name, const std::string& options) const {
    sql("SELECT tide.relay_set_outbox('" + name + "', 'orders', '" + name + R"(', '{"sink_type": "nats", "url": ")" +
        nats_->url() + "\"" + options + "}'); SELECT tide.relay_enable('" + name + "')");
  }
};

TEST_F(Routes, SendEachEventWhereItsContentSays) {
  const std::string s = "SendEachEventWhereItsContentSays";
  set_routes(R"([
    {"name": "eu", "when": {"payload.region": ["eu", "ch"], "op": "insert"}, "subject": ")" +
             s + R"(.eu.{payload.region}"},
    {"name": "big", "when": {"payload.amount": {"gte": 100}}, "subject": ")" +
             s + R"(.big"},
    {"name": "tenant", "when": {"header.tenant": {"prefix": "t-"}}, "subject": ")" +
             s + R"(.tenant.{header.tenant}"}])");
  sql(R"(SELECT tide.outbox_publish('orders', '{"region": "eu", "amount": 500}', 'a');
    SELECT tide.outbox_publish('orders', '{"region": "eu", "amount": 500}', 'b', 'update');
    SELECT tide.outbox_publish('orders', '{"region": "us"}', 'c', 'update', '{"tenant": "t-1.*"}');
    SELECT tide.outbox_publish('orders', '{"amount": "500"}', 'd', 'update'))");
  deliver();
  EXPECT_EQ(stored(), (std::vector<std::string>{s + ".eu.eu a", s + ".big b", s + ".tenant.t-1__ c", s + ".update d"}));
}

TEST_F(Routes, WhatIsDroppedIsDelivered) {
  set_routes(R"([{"when": {"payload.n": {"gt": 3, "lte": 997}}, "drop": true}])");
  publish(1000);
  const auto done = relay("run", {"--once"});
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(keys(), (std::vector<std::string>{"k1", "k2", "k3", "k998", "k999", "k1000"}));
  EXPECT_EQ(sql("SELECT lag, last_id FROM tide.consumer_lag"), "0|1000");
  EXPECT_NE(done.err.find("994 events were dropped by routes so far"), std::string::npos) << done.err;
  EXPECT_EQ(sql("SELECT count(*) FROM tide.dead_letters"), "0");
}

TEST_F(Routes, DroppedEventsAloneMoveTheOffset) {
  set_routes(R"([{"drop": true}])");
  const auto running = start_relay();
  publish(500);
  EXPECT_TRUE(eventually(seconds(10), [&] { return sql("SELECT last_id FROM tide.consumer_lag") == "500"; }));
  EXPECT_EQ(running->terminate(), 0);
  EXPECT_EQ(js().info(stream_).messages, 0u);
}

TEST_F(Routes, ADroppedEventDoesNotOvertakeOneThatIsNotStored) {
  set_routes(R"([{"when": {"payload.n": {"gt": 1}}, "drop": true}])");
  const auto running = start_relay();
  ASSERT_TRUE(running->wait_for_output("running, from event", seconds(10)));
  nats_->pause();
  publish(3);
  ASSERT_TRUE(running->wait_for_output("2 events were dropped by routes so far", seconds(10)));
  EXPECT_EQ(sql("SELECT last_id FROM tide.consumer_lag"), "0");
  nats_->resume();
  EXPECT_TRUE(eventually(seconds(20), [&] { return sql("SELECT last_id FROM tide.consumer_lag") == "3"; }));
  EXPECT_EQ(keys(), std::vector<std::string>{"k1"});
}

TEST_F(Routes, ADeadLetterThatIsDroppedWhenItIsSentAgainIsGone) {
  set_up_pipeline();
  sql(R"(SELECT tide.outbox_publish('orders', '{}', 'bad', 'insert', '{"Nats-Rollup": "all"}'))");
  deliver();
  ASSERT_EQ(sql("SELECT dedup_key FROM tide.dead_letters"), "bad");
  set_pipeline(R"(, "routes": [{"when": {"header.Nats-Rollup": {"exists": true}}, "drop": true}])");
  sql("SELECT tide.dead_letters_retry('p')");
  deliver();
  EXPECT_EQ(sql("SELECT count(*) FROM tide.dead_letters"), "0");
}

TEST_F(Routes, TwoPipelinesFillOneStreamUnderIdsOfTheirOwn) {
  set_up_pipeline(
      R"(, "routes": [{"when": {"op": "delete"}, "subject": "TwoPipelinesFillOneStreamUnderIdsOfTheirOwn.gone"}])");
  add_pipeline("audit",
               R"(, "subject": "TwoPipelinesFillOneStreamUnderIdsOfTheirOwn.audit", "message_id": "{dedup_key}/audit",
    "routes": [{"when": {"op": "delete"}, "subject": "TwoPipelinesFillOneStreamUnderIdsOfTheirOwn.audit.gone",
    "message_id": "{dedup_key}/gone"}])");
  sql("SELECT tide.outbox_publish('orders', '{}', 'a'); SELECT tide.outbox_publish('orders', '{}', 'b', 'delete')");
  deliver();
  auto found = stored();
  std::sort(found.begin(), found.end());
  const std::vector<std::string> expected{stream_ + ".audit a/audit", stream_ + ".audit.gone b/gone",
                                          stream_ + ".gone b", stream_ + ".insert a"};
  EXPECT_EQ(found, expected);

  // As after a crash of PostgreSQL that forgot the offsets: everything is sent again.
  sql("UPDATE tide.consumer_offsets SET last_id = 0, snapshot = '3:3:', next_xid = '3', sink_position = 0");
  deliver();
  found = stored();
  std::sort(found.begin(), found.end());
  EXPECT_EQ(found, expected) << "a repeat is found by its id";
}

TEST_F(Routes, TheLogTellsOfIdsWhereASecondPipelineIsSwallowed) {
  set_up_pipeline();
  add_pipeline("audit", R"(, "subject": "TheLogTellsOfIdsWhereASecondPipelineIsSwallowed.audit")");
  const auto running = start_relay();
  ASSERT_TRUE(running->wait_for_output("pipeline 'p': running", seconds(10)));
  ASSERT_TRUE(running->wait_for_output("pipeline 'audit': running", seconds(10)));
  publish(1, "first");  // from here on, no earlier life can have sent what comes
  ASSERT_TRUE(eventually(seconds(10), [&] { return sql("SELECT sum(lag) FROM tide.consumer_lag") == "0"; }));
  publish(1, "second");
  EXPECT_TRUE(running->wait_for_output("give one of them ids of its own: \"message_id\": \"{dedup_key}/", seconds(10)))
      << running->err();
}

TEST_F(Routes, ConnectChecksTheSubjectsOfAllRoutes) {
  set_up_pipeline(R"(, "routes": [{"when": {"op": "a"}, "subject": "nowhere.{op}"}])");
  const auto checked = relay("check", {"--connect"});
  EXPECT_EQ(checked.exit_code, 1) << checked.out;
  EXPECT_NE(checked.err.find("no JetStream stream takes the subject nowhere.*"), std::string::npos) << checked.err;
  set_pipeline(R"(, "subject": "nowhere", "routes": [{"subject": ")" + stream_ + R"(.all"}])");
  const auto unreachable = relay("check", {"--connect"});
  EXPECT_EQ(unreachable.exit_code, 0) << unreachable.err << "no event is left to `subject`";
}

TEST_F(Routes, FaultsNameTheRule) {
  set_routes(R"([{"name": "eu orders", "when": {"payload.region": {"is": "eu"}}, "drop": true}])");
  const auto done = relay("run", {"--once"});
  EXPECT_EQ(done.exit_code, 2);
  EXPECT_NE(done.err.find("pipeline 'p', routes[0] \"eu orders\", key 'when.payload.region.is': unknown operator"),
            std::string::npos)
      << done.err;
}

}  // namespace
}  // namespace tide::test
