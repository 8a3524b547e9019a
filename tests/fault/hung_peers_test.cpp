// A peer that hangs (SIGSTOP) says nothing, and its connections stay open: only a deadline tells.
#include <csignal>

#include "fault/world.hpp"
#include "support/tcp_proxy.hpp"

namespace tide::test {
namespace {

using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr seconds kSilence{5};  // how long nats-server may owe every answer
constexpr seconds kLoad{3};     // for a machine that has other work

class HungPeers : public World {
 protected:
  void SetUp() override {
    World::SetUp();
    set_up_pipeline();
    start_writers();
  }
  void start_and_see_it_run(int relays = 1) {
    start_relays(relays);
    ASSERT_TRUE(js().wait_for_messages(stream_, 100, seconds(20)));
  }
  // New events arrive within the time.
  bool flows(milliseconds timeout) {
    const auto before = js().info(stream_).messages;
    return tend_until(timeout, [&] { return js().info(stream_).messages > before + 20; });
  }
};

TEST_F(HungPeers, AHungNatsServerIsNoticedAndLosesNothing) {
  start_and_see_it_run();
  const auto from = relay_log().size();
  nats_->pause();
  ++counts_.freezes;
  EXPECT_TRUE(logged("no acknowledgement from", kSilence + kLoad, from)) << "nobody was told that nats-server hangs";
  tend_for(pick_ms(0, 2000));
  nats_->resume();
  EXPECT_TRUE(flows(seconds(10)));
}

TEST_F(HungPeers, AHungPostgresIsNoticedAndLosesNothing) {
  start_and_see_it_run();
  const auto from = relay_log().size();
  postgres_->pause();
  ++counts_.freezes;
  // Another session may be just opened, and what is in flight is waited for: each has the same deadline.
  const bool noticed = logged("PostgreSQL did not answer within", 2 * kPostgresDeadline + kLoad, from);
  const bool told_again = logged("cannot connect to PostgreSQL", 2 * kPostgresDeadline + kLoad, from);
  postgres_->resume();
  EXPECT_TRUE(noticed) << "nobody was told that PostgreSQL hangs";
  EXPECT_TRUE(told_again) << "connecting has no deadline";
  EXPECT_TRUE(flows(seconds(10)));
}

TEST_F(HungPeers, ARelayCanBeStoppedWhilePostgresHangs) {
  start_and_see_it_run();
  postgres_->pause();
  ++counts_.freezes;
  tend_for(kPostgresDeadline + seconds(1));  // it has given up its sessions, and tries to connect
  relays_.front()->kill(SIGTERM);
  const auto code = relays_.front()->wait(kPostgresDeadline + kLoad + kLoad);
  postgres_->resume();
  EXPECT_EQ(code, 0);
  relays_.clear();
}

TEST_F(HungPeers, AFrozenRelayIsReplacedAndDoesNoHarmWhenItGoesOn) {
  start_and_see_it_run();
  auto frozen = std::move(relays_.front());
  relays_.clear();
  const auto from = relay_log().size();
  start_relays(1);
  ASSERT_TRUE(logged("connected to PostgreSQL", seconds(10), from));
  const auto start = Clock::now();
  freeze(*frozen);
  EXPECT_TRUE(logged("running, from event", seconds(15), from));
  const auto took = std::chrono::duration_cast<milliseconds>(Clock::now() - start);
  RecordProperty("takeover_ms", static_cast<int>(took.count()));
  EXPECT_LT(took, seconds(5)) << "a relay that hangs is replaced within 5 s";
  EXPECT_TRUE(flows(seconds(10)));
  frozen->kill(SIGCONT);
  tend_for(seconds(2));
  EXPECT_TRUE(frozen->running());
  EXPECT_EQ(frozen->terminate(seconds(20)), 0);
}

TEST_F(HungPeers, RelaysThatFreezeInTurnLoseNothing) {
  start_and_see_it_run(2);
  for (int i = 0; i < (fault_seconds() >= 600 ? 20 : 2); ++i) {
    auto& relay = *relays_[static_cast<std::size_t>(i % 2)];
    freeze(relay);
    tend_for(pick_ms(500, 5000));
    relay.kill(SIGCONT);
    tend_for(pick_ms(0, 1000));
  }
}

// The relay that owns the pipeline still reaches nats-server, but PostgreSQL only through a network that stalls.
TEST_F(HungPeers, ARelayCutOffFromPostgresIsReplacedAndDoesNoHarm) {
  TcpProxy network(postgres_->port());
  use_postgres_port(network.port());
  start_relays(1);
  ASSERT_TRUE(js().wait_for_messages(stream_, 100, seconds(20)));
  use_postgres_port(postgres_->port());
  const auto from = relay_log().size();
  start_relays(1);
  ASSERT_TRUE(logged("connected to PostgreSQL", seconds(10), from));
  network.stall(true, true);
  ++counts_.freezes;
  EXPECT_TRUE(logged("running, from event", seconds(5) + kLoad, from));
  EXPECT_TRUE(flows(seconds(10)));
  network.heal();
  tend_for(seconds(1));
}

}  // namespace
}  // namespace tide::test
