// How often a relay that sleeps looks for itself, besides the wake-ups that publishers give it.
#include <set>
#include <thread>

#include "e2e/relay_program.hpp"

namespace tide::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Waking : public Servers {
 protected:
  // How many statements the relay's readers begin within the time.
  [[nodiscard]] std::size_t reads_within(seconds time) const {
    std::set<std::string> begun;
    const auto until = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < until) {
      begun.insert(
          sql("SELECT max(query_start) FROM pg_stat_activity WHERE datname = current_database()"
              " AND application_name = 'tide-relay reader' AND query NOT LIKE '%outbox_sweep%'"));
      std::this_thread::sleep_for(milliseconds(50));
    }
    return begun.size() - 1;
  }
};

// A transaction that published before the relay asked for notifications gives none: it has to be looked for.
TEST_F(Waking, AQuietRelayLooksEachSecondOnlyWhileATransactionMayNotNotify) {
  set_up_pipeline();
  Process older(
      {"psql", "-qXd", url_, "-c", "SELECT tide.outbox_publish('orders', '{}', 'late'); SELECT pg_sleep(25)"});
  ASSERT_TRUE(eventually(seconds(20), [&] {
    return sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()") ==
           "1";
  }));
  const auto relay = start_relay();
  ASSERT_TRUE(eventually(seconds(20), [&] { return sql("SELECT state FROM tide.relay_pipelines") == "running"; }));
  publish(1);
  ASSERT_TRUE(js().wait_for_messages(stream_, 1, seconds(20)));
  std::this_thread::sleep_for(seconds(11));
  EXPECT_GE(reads_within(seconds(6)), 3u) << "one a second";
  ASSERT_TRUE(js().wait_for_messages(stream_, 2, seconds(40)));
  EXPECT_EQ(keys(), (std::vector<std::string>{"k1", "late"}));
  std::this_thread::sleep_for(seconds(11));
  EXPECT_LE(reads_within(seconds(10)), 3u) << "one in five seconds";
  publish(1, "w");
  ASSERT_TRUE(js().wait_for_messages(stream_, 3, seconds(20)));
  EXPECT_EQ(relay->terminate(milliseconds(20'000)), 0);
}

}  // namespace
}  // namespace tide::test
