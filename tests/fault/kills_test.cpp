// Processes die by SIGKILL at random, for as long as TIDE_FAULT_SECONDS says.
#include "fault/world.hpp"

namespace tide::test {
namespace {

using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

class Kills : public World {
 protected:
  void SetUp() override {
    World::SetUp();
    set_up_pipeline();
    start_writers();
  }
  void keep_doing(double share, const std::function<void()>& harm) {
    const auto until = Clock::now() + std::chrono::duration<double>(fault_seconds() * share);
    while (Clock::now() < until) {
      harm();
      tend_for(pick_ms(100, 1200));
    }
  }
};

TEST_F(Kills, OfTheRelayLoseNothing) {
  start_relays(1);
  keep_doing(0.15, [&] { kill_relay(); });
}

TEST_F(Kills, OfOneOfTwoRelaysLoseNothing) {
  start_relays(2);
  keep_doing(0.15, [&] { kill_relay(); });
}

TEST_F(Kills, OfNatsServerLoseNothing) {
  start_relays(1);
  keep_doing(0.15, [&] { crash_nats(pick_ms(0, 700)); });
}

TEST_F(Kills, OfPostgresLoseNothing) {
  start_relays(1);
  keep_doing(0.15, [&] { crash_postgres(pick_ms(0, 700)); });
}

TEST_F(Kills, OfAnythingAtAnyTimeLoseNothing) {
  start_relays(2);
  keep_doing(0.4, [&] {
    const int who = pick(1, 15);
    if (who % 2 == 1) kill_relay();
    if (who % 3 == 0) crash_nats(pick_ms(0, 700));
    if (who % 5 == 0) {
      crash_postgres(pick_ms(0, 500));
    } else if (who % 7 == 0) {  // both are gone at the same time
      nats_->kill9();
      ++counts_.nats_kills;
      crash_postgres(pick_ms(0, 500));
      nats_->start();
    }
  });
}

// Last, so that it sees the sum: in ten minutes at least 200 kills and 50,000 events.
TEST(TheKills, WereManyAndSoWereTheEvents) {
  const double share = fault_seconds() / 600;
  EXPECT_GE(total().kills(), 200 * share);
  EXPECT_GE(static_cast<double>(total().events), 50'000 * share);
}

}  // namespace
}  // namespace tide::test
