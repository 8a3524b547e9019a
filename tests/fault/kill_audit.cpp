#include "kill_audit.hpp"

#include <csignal>

namespace tide::test {

using std::chrono::seconds;

void KillAudit::audit(Guarantee guarantee) {
  const bool in_full = variable("TIDE_AUDIT") == "long";
  const int events = in_full ? 100'000 : 5'000;
  const int kills = in_full ? 10 : 3;
  const std::vector<std::string> points = {"mid_publish", "after_ack_before_commit", "after_read", "mid_commit",
                                           "after_commit"};
  const auto before = total().events;
  may_repeat_ = guarantee != Guarantee::exactly_once;
  any_order_ = guarantee == Guarantee::at_least_once_in_any_order;
  start_writers(in_full ? 1500 : 600);
  start_relays(1);
  for (int i = 0; i < kills; ++i) {
    wait_for_events(events * i / kills);
    tend_for(pick_ms(0, 300));
    disturb();
    kill_relay();
    if (i % 2 == 0) continue;
    const auto& point = points[static_cast<std::size_t>(i / 2) % points.size()];
    const auto relay =
        start_relay({{"TIDE_CRASH_AT", point + ":" + std::to_string(pick(1, 20))}}, "TIDE_RELAY_CRASHING");
    ASSERT_EQ(relay->wait(seconds(30)), 128 + SIGKILL) << "it never came to " << point;
    ++counts_.relay_kills;
  }
  wait_for_events(events);
  judge_now(seconds(in_full ? 300 : 60));
  EXPECT_GE(total().events - before, static_cast<std::size_t>(events));
}

void KillAudit::wait_for_events(int count) {
  const auto until = std::chrono::steady_clock::now() + seconds(300);
  while (std::stoi(sql("SELECT count(*) FROM expected")) < count) {
    ASSERT_LT(std::chrono::steady_clock::now(), until) << "the writers are too slow";
    tend_for(milliseconds(50));
  }
}

}  // namespace tide::test
