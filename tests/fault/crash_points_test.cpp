// The relay dies at each named point of its work (core/base/crash_point.hpp), in several passes of it.
#include <csignal>

#include "fault/world.hpp"

namespace tide::test {
namespace {

using std::chrono::seconds;

class CrashPoints : public World {
 protected:
  void SetUp() override {
    World::SetUp();
    set_up_pipeline();
    start_writers();
  }
  // The relay dies in the pass-th pass; `meanwhile` brings it there.
  void die_at(const std::string& point, int pass, const std::function<void(Process&)>& meanwhile = {}) {
    const auto relay = start_relay({{"TIDE_CRASH_AT", point + ":" + std::to_string(pass)}}, "TIDE_RELAY_CRASHING");
    if (meanwhile) meanwhile(*relay);
    ASSERT_EQ(relay->wait(seconds(20)), 128 + SIGKILL) << "never came to pass " << pass << " of " << point;
    ++counts_.relay_kills;
  }
  void die_at_each_pass(const std::string& point) {
    for (const int pass : {1, 2, 7, 20}) {
      die_at(point, pass);
      if (HasFatalFailure()) return;
    }
  }
};

TEST_F(CrashPoints, AfterReadNothingIsLostOrTwice) {
  die_at_each_pass("after_read");
}

TEST_F(CrashPoints, MidPublishNothingIsLostOrTwice) {
  die_at_each_pass("mid_publish");
}

TEST_F(CrashPoints, AfterAckBeforeCommitNothingIsLostOrTwice) {
  die_at_each_pass("after_ack_before_commit");
}

TEST_F(CrashPoints, MidCommitNothingIsLostOrTwice) {
  die_at_each_pass("mid_commit");
}

TEST_F(CrashPoints, AfterCommitNothingIsLostOrTwice) {
  die_at_each_pass("after_commit");
}

TEST_F(CrashPoints, DuringShutdownNothingIsLostOrTwice) {
  for (const int pass : {1, 2, 1, 2}) {
    const auto from = relay_log().size();
    die_at("during_shutdown", pass, [&](Process& relay) {
      ASSERT_TRUE(logged("running, from event", seconds(20), from));
      tend_for(pick_ms(0, 300));
      sql("SELECT write_events(1, 2000, 'publish')");  // so that something is in flight
      relay.kill(SIGTERM);
    });
    if (HasFatalFailure()) return;
  }
}

TEST_F(CrashPoints, AfterAnOutageOfTheSinkNothingIsLostOrTwice) {
  for (int i = 0; i < 4; ++i) {
    const auto from = relay_log().size();
    die_at("after_outage", 1, [&](Process&) {
      ASSERT_TRUE(logged("running, from event", seconds(20), from));
      tend_for(pick_ms(0, 300));
      crash_nats(milliseconds(0));
    });
    if (HasFatalFailure()) return;
  }
}

// The program that people install has no such points.
TEST_F(CrashPoints, TheShippedProgramHasNone) {
  const auto relay = start_relay({{"TIDE_CRASH_AT", "after_read:1"}});
  ASSERT_TRUE(js().wait_for_messages(stream_, 200, seconds(20)));
  EXPECT_TRUE(relay->running());
  EXPECT_EQ(relay->terminate(), 0);
}

}  // namespace
}  // namespace tide::test
