// PostgreSQL's primary dies, and a standby takes its place.
#include <charconv>

#include "fault/world.hpp"
#include "support/tcp_proxy.hpp"

namespace tide::test {
namespace {

using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr seconds kFewSeconds{5};
constexpr seconds kLoad{3};  // for a machine that has other work

// Two servers: `postgres_` is the primary, `standby_` follows it.
class Failover : public World {
 protected:
  static void TearDownTestSuite() {
    standby_.reset();
    World::TearDownTestSuite();
  }

  void SetUp() override {
    World::SetUp();
    if (!standby_) standby_ = std::make_unique<PostgresServer>(StandbyOf{*postgres_});
    if (standby_->pid() < 0) standby_->follow(*postgres_);
    postgres_->wait_for_standby(true);
    database_ = url_.substr(url_.rfind('/') + 1);
    url_ = relay_url_ = url_of(*postgres_, *standby_);
    set_up_pipeline();
  }

  // As a user writes it: all servers, of which the one that takes writes is meant.
  std::string url_of(const PostgresServer& one, const PostgresServer& other) const {
    return "postgresql://postgres@127.0.0.1:" + std::to_string(one.port()) +
           ",127.0.0.1:" + std::to_string(other.port()) + "/" + database_ + "?target_session_attrs=read-write";
  }
  std::string sql_at(const PostgresServer& server, const std::string& statements) const {
    return server.psql(server.url(database_), statements);
  }
  long long number_at(const PostgresServer& server, const std::string& query) const {
    return std::stoll(sql_at(server, query));
  }

  // The dead one is rebuilt as the standby of the next test.
  void fail_over(milliseconds without_primary = {}) {
    postgres_->kill9();
    ++counts_.postgres_kills;
    tend_for(without_primary);
    standby_->promote();
    promoted_ = Clock::now();
    std::swap(postgres_, standby_);
  }
  milliseconds since_promotion() const { return std::chrono::duration_cast<milliseconds>(Clock::now() - promoted_); }
  bool flows(milliseconds timeout) {
    const auto before = js().info(stream_).messages;
    return tend_until(timeout, [&] { return js().info(stream_).messages > before + 20; });
  }
  // From which event on the relay that logged it last went on.
  long long went_on_from() const {
    constexpr std::string_view kText = "running, from event ";
    const auto log = relay_log();
    return std::stoll(log.substr(log.rfind(kText) + kText.size()));
  }
  // Events without a dedup_key, one a transaction; returns the last one's id.
  long long publish(const PostgresServer& server, int count, const std::string& what) const {
    return number_at(server, "SELECT max(tide.outbox_publish('orders', jsonb_build_object('" + what +
                                 "', n))) FROM generate_series(1, " + std::to_string(count) + ") n");
  }
  bool delivered(std::uint64_t messages, milliseconds timeout) {
    return tend_until(timeout, [&] { return js().info(stream_).messages >= messages; });
  }
  static constexpr const char* kOffset = "SELECT last_id FROM tide.consumer_offsets";

  inline static std::unique_ptr<PostgresServer> standby_;
  std::string database_;
  Clock::time_point promoted_;
};

TEST_F(Failover, ToASynchronousStandbyLosesNothingAndKeepsTheOffset) {
  start_writers();
  start_relays(1);
  ASSERT_TRUE(delivered(500, seconds(20)));
  auto reached = 0LL;
  ASSERT_TRUE(tend_until(seconds(10), [&] { return (reached = number_at(*standby_, kOffset)) > 100; }))
      << "the standby has no offset";
  const auto from = relay_log().size();
  fail_over();
  ASSERT_TRUE(logged("running, from event", kFewSeconds + kLoad, from)) << "the new primary was not found";
  EXPECT_GE(went_on_from(), reached) << "the offset was lost";
  EXPECT_TRUE(flows(seconds(10)));
  std::cout << "  delivering again " << since_promotion().count() << " ms after the promotion" << std::endl;
}

TEST_F(Failover, AgainAndAgainLosesNothingWithTwoRelays) {
  start_writers();
  start_relays(2);
  const auto until = Clock::now() + std::chrono::duration<double>(fault_seconds() * 0.4);
  do {
    ASSERT_TRUE(flows(seconds(20)));
    fail_over(pick_ms(0, 1500));
    tend_for(pick_ms(0, 2000));
    standby_->follow(*postgres_);
    postgres_->wait_for_standby(true);
  } while (Clock::now() < until);
}

TEST_F(Failover, ThatTakesCommitsBackLosesNothingElse) {
  postgres_->wait_for_standby(false);
  commits_lost_ = true;
  start_writers();
  start_relays(2);
  ASSERT_TRUE(delivered(500, seconds(20)));
  standby_->stop_following();
  const auto kept = number_at(*standby_, "SELECT max(id) FROM tide.outbox_messages");
  ASSERT_TRUE(tend_until(seconds(20), [&] { return number_at(*postgres_, kOffset) > kept + 20; }));
  fail_over();
  EXPECT_TRUE(flows(seconds(20)));
}

TEST_F(Failover, ThatDrawsIdsAgainDeliversTheEventsThatHaveThem) {
  postgres_->wait_for_standby(false);
  start_relays(1);
  publish(*postgres_, 100, "kept");
  ASSERT_TRUE(delivered(100, seconds(20)));
  standby_->stop_following();
  const auto last_lost = publish(*postgres_, 500, "lost");
  ASSERT_TRUE(delivered(600, seconds(20)));
  ASSERT_TRUE(tend_until(seconds(10), [&] { return number_at(*postgres_, kOffset) == last_lost; }));
  fail_over();
  const auto last = publish(*postgres_, 100, "again");
  ASSERT_LT(last, last_lost) << "no id was drawn again";
  EXPECT_TRUE(delivered(700, seconds(20))) << "they were taken for what had been delivered";
  EXPECT_TRUE(tend_until(seconds(10), [&] { return number_at(*postgres_, kOffset) == last; }));
  EXPECT_EQ(js().info(stream_).messages, 700u);
}

// An address that moves to the new primary, while the old one lives and the relay's lock in it, too.
TEST_F(Failover, BehindOneAddressNeverReadsOnWhereTheOffsetsAreNot) {
  postgres_->wait_for_standby(false);
  TcpProxy address(postgres_->port());
  relay_url_ = "postgresql://postgres@127.0.0.1:" + std::to_string(address.port()) + "/" + database_;
  start_relays(1);
  publish(*postgres_, 100, "kept");
  ASSERT_TRUE(delivered(100, seconds(20)));
  standby_->stop_following();
  publish(*postgres_, 500, "lost");
  ASSERT_TRUE(delivered(600, seconds(20)));
  standby_->promote();
  address.lead_to(standby_->port());
  const auto from = relay_log().size();
  sql_at(*postgres_,
         "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tide-relay reader'");
  publish(*standby_, 100, "again");
  EXPECT_TRUE(delivered(700, seconds(20))) << "they were looked for after the position of the old primary";
  EXPECT_TRUE(logged("another server", milliseconds(0), from)) << "nobody was told";
  EXPECT_TRUE(tend_until(seconds(10), [&] { return number_at(*standby_, kOffset) > 100; }));
  postgres_->kill9();
  std::swap(postgres_, standby_);
}

// Its machine is gone: nothing answers there, and nobody is told.
TEST_F(Failover, OfAPrimaryThatIsSilentCostsOneTimeout) {
  start_relays(1);
  publish(*postgres_, 100, "before");
  ASSERT_TRUE(delivered(100, seconds(20)));
  postgres_->pause();
  const auto paused = Clock::now();
  standby_->promote();
  std::swap(postgres_, standby_);
  publish(*postgres_, 100, "after");
  // The session that is silent and the first attempt to connect, which looks at the old primary first: each has the
  // deadline. Before them a poll, between them a farewell.
  EXPECT_TRUE(delivered(200, seconds(30)));
  const auto took = std::chrono::duration_cast<milliseconds>(Clock::now() - paused);
  std::cout << "  delivering again " << took.count() << " ms after the silence began" << std::endl;
  EXPECT_LT(took, seconds(2) + 2 * kPostgresDeadline + kLoad);
  standby_->kill9();
}

TEST_F(Failover, ARelayOnAStandbyAloneSaysSoAndGoesOnOnceItIsPromoted) {
  relay_url_ = standby_->url(database_);
  publish(*postgres_, 100, "before");
  const auto check = run({variable("TIDE_RELAY"), "check", "--connect", "--postgres-url", relay_url_});
  EXPECT_EQ(check.exit_code, 1);
  EXPECT_NE(check.err.find("is a standby"), std::string::npos) << check.err;
  start_relays(1);
  ASSERT_TRUE(logged("PostgreSQL at 127.0.0.1:" + std::to_string(standby_->port()) + " is a standby", seconds(10)));
  EXPECT_TRUE(logged("target_session_attrs=read-write", milliseconds(0))) << "nobody was told what to do";
  fail_over();
  EXPECT_TRUE(delivered(100, kFewSeconds + kLoad));
}

TEST_F(Failover, AUrlThatAsksForWritesSaysWhatIsWrongWhereNoServerTakesThem) {
  relay_url_ = standby_->url(database_) + "?target_session_attrs=read-write";
  start_relays(1);
  EXPECT_TRUE(logged("session is read-only", seconds(10)));
  EXPECT_TRUE(logged("no server of the URL takes writes", milliseconds(0)));
}

TEST_F(Failover, ARelayWhosePrimaryComesBackAsAStandbySaysSo) {
  relay_url_ = postgres_->url(database_);
  start_relays(1);
  publish(*postgres_, 100, "before");
  ASSERT_TRUE(delivered(100, seconds(20)));
  postgres_->stop();
  standby_->promote();
  postgres_->follow(*standby_);
  EXPECT_TRUE(logged("is a standby", seconds(10)));
  publish(*standby_, 100, "after");
  // And back again.
  standby_->wait_for_standby(true);
  publish(*standby_, 1, "after");
  standby_->kill9();
  postgres_->promote();
  EXPECT_TRUE(delivered(201, kFewSeconds + kLoad));
}

TEST_F(Failover, ARelayWhoseServerIsMadeReadOnlySaysSoAndGoesOnAfterwards) {
  relay_url_ = postgres_->url(database_);
  start_relays(1);
  publish(*postgres_, 100, "before");
  ASSERT_TRUE(delivered(100, seconds(20)));
  const auto read_only = [&](const char* value) {  // running sessions hear of it, too
    sql_at(*postgres_, std::string("ALTER SYSTEM SET default_transaction_read_only = ") + value);
    sql_at(*postgres_, "SELECT pg_reload_conf()");
  };
  const auto from = relay_log().size();
  read_only("on");
  EXPECT_TRUE(logged("is set read-only", seconds(10), from));
  read_only("off");
  publish(*postgres_, 100, "after");
  EXPECT_TRUE(delivered(200, kFewSeconds + kLoad));
}

// With synchronous replication a commit waits for the standby: those of publishers do, as they should; the relay's need
// not, as what a crash takes back of them is done again.
TEST_F(Failover, AStandbyThatIsDownDoesNotHoldUpTheRelay) {
  publish(*postgres_, 100, "before");
  standby_->stop();
  start_relays(1);
  EXPECT_TRUE(delivered(100, kFewSeconds + kLoad));
  EXPECT_TRUE(tend_until(kFewSeconds + kLoad, [&] { return number_at(*postgres_, kOffset) >= 100; }));
  tend_for(2 * kPostgresDeadline);
  EXPECT_FALSE(logged("did not answer", milliseconds(0)));
  standby_->start();
}

}  // namespace
}  // namespace tide::test
