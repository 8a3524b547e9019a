// The whole relay on a cluster of nats-servers and a stream with three replicas, under load: leaders change, servers
// die, leave and join. The stream holds exactly the committed events, each key's in order.
#include <fstream>
#include <iostream>
#include <sstream>

#include "fault/world.hpp"
#include "support/nats_cluster.hpp"

namespace tide::test {
namespace {

using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

class Clusters : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { postgres_ = std::make_unique<PostgresServer>(); }
  static void TearDownTestSuite() { postgres_.reset(); }

  void SetUp() override {
    url_ = postgres_->create_database();
    StreamOptions stream;
    stream.replicas = 3;
    cluster_.create_stream("S", {"S.>"}, stream);
    const auto installed = run({variable("TIDE_RELAY"), "init", "--postgres-url", url_});
    ASSERT_EQ(installed.exit_code, 0) << installed.err;
  }
  void TearDown() override {
    writers_.reset();
    relay_.reset();
    if (HasFailure()) {
      const auto log = relay_log();
      std::cout << "the relay's log ends with:\n" << (log.size() > 6000 ? log.substr(log.size() - 6000) : log) << '\n';
    }
  }

  // A relay and writers; returns when events flow.
  void start(const std::string& nats_url, const std::string& more_options = {}) {
    sql("SELECT tide.outbox_create('orders')");
    sql("SELECT tide.relay_set_outbox('p', 'orders', 'g', '{\"sink_type\": \"nats\", \"url\": \"" + nats_url +
        "\", \"subject\": \"S.{op}\", \"retry\": {\"initial_ms\": 20, \"max_ms\": 500}" + more_options +
        "}'); SELECT tide.relay_enable('p')");
    sql(Writers::schema(kRefusedByNats));
    writers_ = std::make_unique<Writers>(url_, 300);
    ProcessOptions options;
    options.output = dir_ / "log";
    relay_ = std::make_unique<Process>(std::vector<std::string>{variable("TIDE_RELAY"), "run", "--postgres-url", url_},
                                       options);
    ASSERT_TRUE(events_flow());
  }

  // More is stored than now. A cluster of nats-server 2.9 was seen to need more than 30 s to elect its leaders.
  bool events_flow(milliseconds patience = seconds(90)) {
    const auto before = stored();
    return eventually(patience, [&] { return stored() > before + 20; });
  }
  // What the relay has committed as delivered.
  std::int64_t stored() const { return std::stoll("0" + sql("SELECT max(last_id) FROM tide.consumer_offsets")); }

  std::string relay_log() const {
    const std::ifstream in(dir_ / "log");
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }
  // The server that the relay connected to last; none yet: an error.
  std::size_t connected() {
    const auto log = relay_log();
    const auto at = log.rfind("connected to nats://");
    for (std::size_t i = 0; at != std::string::npos && i < cluster_.size(); ++i)
      if (log.compare(at + 13, cluster_[i].url().size() + 1, cluster_[i].url() + ",") == 0) return i;
    throw std::runtime_error("the relay is connected to no server of the cluster");
  }
  static std::size_t count(const std::string& text, const std::string& word) {
    std::size_t found = 0;
    for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++found;
    return found;
  }

  // The stream's leader becomes another server than this one.
  void lead_elsewhere(std::size_t server) {
    ASSERT_TRUE(eventually(seconds(60), [&] {
      if (cluster_.leader("S") != server) return true;
      cluster_.step_down("S");
      return false;
    }));
    ASSERT_TRUE(events_flow());
  }

  std::string sql(const std::string& statements) const { return postgres_->psql(url_, statements); }

  void judge_now() {
    writers_->stop();
    EXPECT_TRUE(eventually(seconds(60), [&] { return sql("SELECT lag FROM tide.consumer_lag") == "0"; }))
        << "not everything was delivered; lag " << sql("SELECT lag FROM tide.consumer_lag");
    EXPECT_EQ(relay_->terminate(seconds(20)), 0);
    const auto verdict = judge(sql("SELECT key, version, nonce, sendable FROM expected"),
                               sql("SELECT payload->>'k', payload->>'v', payload->>'n' FROM tide.dead_letters"),
                               cluster_.js().messages("S"));
    std::cout << "  " << verdict << std::endl;
    EXPECT_TRUE(verdict.good()) << verdict;
    EXPECT_GT(verdict.events, 100u) << "too little happened for a verdict";
  }

  inline static std::unique_ptr<PostgresServer> postgres_;
  NatsCluster cluster_;
  TempDir dir_{"tide-fault"};
  std::string url_;
  std::unique_ptr<Writers> writers_;
  std::unique_ptr<Process> relay_;
};

TEST_F(Clusters, LoseNothingWhenLeadersAndServersDieUnderLoad) {
  std::mt19937 random(std::random_device{}());
  const auto any = [&] { return std::uniform_int_distribution<std::size_t>(0, 2)(random); };
  cluster_[0].kill9();  // and is dead at the start
  start(cluster_.urls(), ", \"exclusive\": true");
  cluster_.restart(0, "S");

  int kills = 0;
  const auto until = Clock::now() + std::chrono::duration<double>(fault_seconds());
  for (; kills < 3 || Clock::now() < until; ++kills) {
    cluster_.step_down("S");
    EXPECT_TRUE(events_flow());
    // By turns the leader, the server that the relay talks to, and any.
    const auto victim = kills % 3 == 0 ? cluster_.leader("S") : kills % 3 == 1 ? connected() : any();
    cluster_[victim].kill9();
    EXPECT_TRUE(events_flow());
    cluster_.restart(victim, "S");
  }
  std::cout << "  " << kills << " leader changes, " << kills << " servers killed\n";
  judge_now();
}

TEST_F(Clusters, AreLeftWithoutAnOutageWhenAServerIsALameDuck) {
  start(cluster_.urls());
  const auto leaving = connected();
  lead_elsewhere(leaving);
  const auto before = relay_log().size();

  cluster_.lame_duck(leaving);

  EXPECT_TRUE(eventually(seconds(20), [&] { return connected() != leaving; }));
  EXPECT_TRUE(events_flow());
  const auto log = relay_log().substr(before);
  EXPECT_EQ(count(log, "is about to stop (lame duck mode)"), 1u) << log;
  for (const auto* word : {"was lost", "not stored", "sent again in", "next try in"})
    EXPECT_EQ(count(log, word), 0u) << log;
  EXPECT_EQ(count(log, " warning "), 0u) << log;
  judge_now();
}

// Nothing but the cluster tells of the servers that the relay goes to, and one of them joins only while it runs.
TEST_F(Clusters, AreRestartedOneByOneWhileTheOnlyConfiguredServerIsGone) {
  cluster_.add();  // without a replica of the stream
  start(cluster_[3].url());
  cluster_.add();
  cluster_[3].kill9();
  EXPECT_TRUE(events_flow());

  for (const std::size_t server : {0u, 1u, 2u, 4u}) {
    cluster_.lame_duck(server);
    EXPECT_TRUE(eventually(seconds(20), [&] { return connected() != server; }));
    EXPECT_TRUE(events_flow());
    cluster_.restart(server, "S");
  }
  EXPECT_GE(count(relay_log(), "connected to nats://"), 2u);
  judge_now();
}

}  // namespace
}  // namespace tide::test
