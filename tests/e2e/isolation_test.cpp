// One pipeline's trouble never stops another, and memory stays bounded whatever the trouble is.
#include <fstream>

#include "e2e/relay_program.hpp"

namespace tide::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Isolation : public Servers {
 protected:
  void pipeline(const std::string& name, const std::string& url, const std::string& subject) const {
    sql("SELECT tide.outbox_create('" + name + "'); SELECT tide.relay_set_outbox('" + name + "', '" + name +
        "', 'g', '{\"sink_type\": \"nats\", \"url\": \"" + url + "\", \"subject\": \"" + subject +
        "\"}'); SELECT tide.relay_enable('" + name + "')");
  }
  // MiB that the process held at the most.
  static double peak_memory(pid_t pid) {
    std::ifstream status("/proc/" + std::to_string(pid) + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024;
    }
    return 0;
  }
};

TEST_F(Isolation, OfAHundredPipelinesThreeSickOnesHoldUpNoOther) {
  ASSERT_EQ(relay("init").exit_code, 0);
  js().create_stream("ISOLATION", {"isolation.>"});
  NatsServer hung;
  JetStream(hung.url()).create_stream("HUNG", {"hung.>"});
  pipeline("hangs", hung.url(), "hung.{op}");
  pipeline("refuses", "nats://127.0.0.1:" + std::to_string(free_port()), "refused.{op}");
  pipeline("rejects", nats_->url(), "isolation.{payload.missing}");
  for (int i = 1; i <= 97; ++i) pipeline("o" + std::to_string(i), nats_->url(), "isolation.{outbox}.{op}");
  const auto relay = start_relay();
  ASSERT_TRUE(eventually(seconds(60), [&] {
    return sql("SELECT count(*) FROM tide.relay_pipelines WHERE state = 'running'") == "99";
  })) << sql("SELECT state, count(*) FROM tide.relay_pipelines GROUP BY 1");
  hung.pause();
  sql("INSERT INTO tide.outbox_messages (outbox, payload) SELECT b.name, to_jsonb(n) FROM tide.outboxes b,"
      " generate_series(1, 200) n");
  const auto since = std::chrono::steady_clock::now();
  EXPECT_TRUE(js().wait_for_messages("ISOLATION", 97 * 200, seconds(30)));
  std::printf("97 healthy pipelines delivered %d events in %.0f ms\n", 97 * 200,
              std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - since).count());
  EXPECT_TRUE(eventually(seconds(10), [&] {
    return sql("SELECT count(*) FROM tide.dead_letters WHERE pipeline = 'rejects'") == "200";
  })) << "the one that rejects all goes on rejecting";
  EXPECT_EQ(js().info("ISOLATION").messages, 97u * 200u);
  EXPECT_EQ(sql("SELECT sum(lag) FROM tide.consumer_lag WHERE pipeline IN ('hangs', 'refuses')"), "400");
  EXPECT_LE(std::stoi(sql("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'tide-relay%'")), 10)
      << "8 readers and 2 more, however many pipelines there are";
  hung.resume();
  EXPECT_TRUE(eventually(seconds(60), [&] {
    return sql("SELECT sum(lag) FROM tide.consumer_lag WHERE pipeline = 'hangs'") == "0";
  })) << "the one that hung catches up";
  EXPECT_EQ(relay->terminate(milliseconds(20'000)), 0);
}

TEST_F(Isolation, LargePayloadsAndAnOutageKeepMemoryBounded) {
  set_up_pipeline();
  // 300 MB, in the middle of small events that teach the relay to read many at once; compressible, so that what
  // PostgreSQL stores says little of what comes out.
  sql("INSERT INTO tide.outbox_messages (outbox, payload) SELECT 'orders', to_jsonb(n) FROM generate_series(1, 3000) n;"
      "INSERT INTO tide.outbox_messages (outbox, payload) SELECT 'orders', jsonb_build_object('n', n, 'pad',"
      " repeat('x', 1000000)) FROM generate_series(1, 300) n");
  const TempDir dir;
  std::ofstream(dir / "relay.toml") << "[relay]\nbuffer_mb = 32\n";
  const auto relay = start_relay({"--config", dir / "relay.toml"});
  ASSERT_TRUE(js().wait_for_messages(stream_, 3020, seconds(60)));
  nats_->stop();
  ASSERT_TRUE(relay->wait_for_output("next try in", seconds(20)));
  nats_->start();
  ASSERT_TRUE(js().wait_for_messages(stream_, 3300, seconds(60)));
  const auto peak = peak_memory(relay->pid());
  std::printf("peak memory %.0f MiB\n", peak);
  EXPECT_LT(peak, 160);
  EXPECT_EQ(relay->terminate(), 0);
}

TEST_F(Isolation, DeliveredEventsAreSweptWithoutBloat) {
  set_up_pipeline();
  sql("SELECT tide.outbox_set_retention('orders', 0)");
  const auto relay = start_relay();
  long largest = 0;
  for (int round = 0; round < 10; ++round) {
    publish(5'000, "r" + std::to_string(round) + "-");
    ASSERT_TRUE(eventually(seconds(30), [&] { return sql("SELECT lag FROM tide.consumer_lag") == "0"; }));
    sql("SELECT tide.outbox_sweep('orders', 10000)");
    const auto size = std::stol(sql("SELECT size_bytes FROM tide.outbox_status('orders')"));
    sql("VACUUM tide.outbox_1");  // as autovacuum does, which a test can not wait for
    if (round < 2) {
      largest = std::max(largest, size);
    } else {
      EXPECT_LE(size, largest * 2) << "round " << round;
    }
  }
  publish(100);
  EXPECT_TRUE(eventually(seconds(30), [&] { return sql("SELECT count(*) FROM tide.outbox_messages") == "0"; }))
      << "the relay sweeps by itself: " << sql("SELECT * FROM tide.outbox_status('orders')");
}

TEST_F(Isolation, ATableThatSomebodyLocksHoldsUpItsOwnPipelineAlone) {
  ASSERT_EQ(relay("init").exit_code, 0);
  js().create_stream("LOCKED", {"locked.>"});
  pipeline("one", nats_->url(), "locked.one.{op}");
  pipeline("other", nats_->url(), "locked.other.{op}");
  const auto relay = start_relay();
  ASSERT_TRUE(eventually(
      seconds(20), [&] { return sql("SELECT count(*) FROM tide.relay_pipelines WHERE state = 'running'") == "2"; }));
  Process locker(
      {"psql", "-XAtqd", url_, "-c",
       "BEGIN; LOCK TABLE tide.outbox_1 IN ACCESS EXCLUSIVE MODE; SELECT 'locked'; SELECT pg_sleep(8); COMMIT"});
  ASSERT_TRUE(relay->wait_for_output("pipeline 'one': ", seconds(20))) << relay->err();
  EXPECT_TRUE(relay->wait_for_output("lock timeout", seconds(20))) << relay->err();
  sql("INSERT INTO tide.outbox_messages (outbox, payload) VALUES ('other', '1')");
  EXPECT_TRUE(js().wait_for_messages("LOCKED", 1, seconds(5)));
  ASSERT_EQ(locker.wait(seconds(30)), 0);
  sql("INSERT INTO tide.outbox_messages (outbox, payload) VALUES ('one', '1')");
  EXPECT_TRUE(js().wait_for_messages("LOCKED", 2, seconds(30)));
  EXPECT_EQ(relay->err().find("stopping what runs"), std::string::npos) << relay->err();
  EXPECT_EQ(relay->terminate(), 0);
}

}  // namespace
}  // namespace tide::test
