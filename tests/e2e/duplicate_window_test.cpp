// Events that were stored and not committed when the relay died, and a relay that comes back long after the stream's
// duplicate window: the stream holds each of them once.
#include <csignal>
#include <iostream>
#include <map>
#include <thread>

#include "e2e/relay_program.hpp"

namespace tide::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class DuplicateWindow : public Servers {
 protected:
  // The stream forgets a key after a second.
  void set_up(const std::string& more_options = {}) {
    set_up_pipeline(more_options);
    StreamOptions options;
    options.duplicate_window = seconds(1);
    js().update_stream(stream_, {stream_ + ".>"}, options);
  }

  // From now on no progress is committed: whoever tries hangs.
  void hang_commits() {
    sql("CREATE OR REPLACE FUNCTION public.hang() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.last_id > OLD.last_id THEN PERFORM pg_sleep(60); END IF; RETURN NEW; END $$;"
        " CREATE TRIGGER hang BEFORE UPDATE ON tide.consumer_offsets FOR EACH ROW EXECUTE FUNCTION public.hang()");
  }
  // What a dead relay left behind at the server ends, and commits nothing.
  void bury(Process& relay) {
    relay.kill(SIGKILL);
    ASSERT_EQ(relay.wait(seconds(10)), 128 + SIGKILL);
    sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid()");
    sql("DROP FUNCTION IF EXISTS public.hang() CASCADE");
  }
  static void outlive_the_window() { std::this_thread::sleep_for(seconds(3)); }

  std::uint64_t stored() const { return js().info(stream_).messages; }
  std::string committed() const { return sql("SELECT last_id FROM tide.consumer_lag"); }

  // The relay's log.
  std::string deliver_the_rest() const {
    const auto done = relay("run", {"--once"});
    EXPECT_EQ(done.exit_code, 0) << done.err;
    EXPECT_EQ(sql("SELECT lag FROM tide.consumer_lag"), "0");
    if (const auto told = done.err.find("read "); told != std::string::npos)
      std::cout << done.err.substr(told, done.err.find('\n', told) - told) << std::endl;
    return done.err;
  }
  void expect_each_once(int count, bool in_order = true) const {
    const auto found = keys();
    std::map<std::string, int> times;
    for (const auto& key : found) ++times[key];
    int twice = 0;
    for (const auto& [key, number] : times) twice += number - 1;
    EXPECT_EQ(twice, 0) << "of " << found.size();
    ASSERT_EQ(times.size(), static_cast<std::size_t>(count));
    for (std::size_t i = 0; in_order && i < found.size(); ++i) ASSERT_EQ(found[i], "k" + std::to_string(i + 1));
  }
};

TEST_F(DuplicateWindow, WhatWasAcknowledgedAndNotCommittedIsNotStoredAgain) {
  set_up();
  {
    const auto relay = start_relay();
    publish(1000);
    ASSERT_TRUE(eventually(seconds(20), [&] { return committed() == "1000"; }));
    hang_commits();
    sql("SELECT count(tide.outbox_publish('orders', '{}', 'k' || n)) FROM generate_series(1001, 6000) n");
    ASSERT_TRUE(js().wait_for_messages(stream_, 1001, seconds(20)));
    std::this_thread::sleep_for(milliseconds(300));
    bury(*relay);
  }
  const auto in_doubt = stored() - 1000;
  EXPECT_GT(in_doubt, 0u);
  EXPECT_EQ(committed(), "1000");
  outlive_the_window();

  const auto log = deliver_the_rest();

  expect_each_once(6000);
  EXPECT_NE(log.find("read " + std::to_string(in_doubt) + " headers of stream " + stream_ + " after sequence 1000"),
            std::string::npos)
      << log;
  EXPECT_NE(log.find(std::to_string(in_doubt) + " are stored already"), std::string::npos) << log;
}

TEST_F(DuplicateWindow, ANewPipelineMayDieBeforeItsFirstCommit) {
  set_up();
  js().publish(stream_ + ".other", "", "somebody else's");
  js().purge(stream_);  // the sequence goes on
  hang_commits();
  publish(5000);
  {
    const auto relay = start_relay();
    ASSERT_TRUE(js().wait_for_messages(stream_, 1, seconds(20)));
    std::this_thread::sleep_for(milliseconds(300));
    bury(*relay);
  }
  EXPECT_EQ(committed(), "0");
  outlive_the_window();

  const auto log = deliver_the_rest();

  expect_each_once(5000);
  EXPECT_NE(log.find("after sequence 1 in"), std::string::npos) << log;
}

TEST_F(DuplicateWindow, ANewPipelineIntoAnEmptyStreamMayDieBeforeItsFirstCommit) {
  set_up(R"(, "exclusive": true)");
  hang_commits();
  publish(5000);
  {
    const auto relay = start_relay();
    ASSERT_TRUE(js().wait_for_messages(stream_, 1, seconds(20)));
    bury(*relay);
  }
  EXPECT_EQ(committed(), "0");
  outlive_the_window();

  deliver_the_rest();

  expect_each_once(5000);
}

TEST_F(DuplicateWindow, ARelayThatIsKilledUnderLoadAgainAndAgainStoresNothingTwice) {
  set_up();
  publish(60000);
  for (const auto target : {500u, 8000u, 20000u, 40000u}) {
    const auto relay = start_relay();
    ASSERT_TRUE(js().wait_for_messages(stream_, target, seconds(30)));
    bury(*relay);
    outlive_the_window();
  }

  deliver_the_rest();

  expect_each_once(60000);
}

}  // namespace
}  // namespace tide::test
