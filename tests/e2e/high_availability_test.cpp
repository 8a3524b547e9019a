// Several relays share the pipelines of one database.
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "e2e/relay_program.hpp"

namespace tide::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class HighAvailability : public Servers {
 protected:
  static constexpr const char* kRunning = "running, from event";

  std::string owner() const { return sql("SELECT coalesce(relay, '') FROM tide.relay_pipelines"); }
};

TEST_F(HighAvailability, ARelayThatCanNotTakeAPipelineLeavesItToOthers) {
  set_up_pipeline();
  Process lock({"psql", "-qXd", url_, "-c",
                "BEGIN; LOCK TABLE tide.consumer_offsets IN SHARE ROW EXCLUSIVE MODE; SELECT pg_sleep(60)"});
  ASSERT_TRUE(eventually(std::chrono::seconds(20), [&] {
    return sql("SELECT count(*) FROM pg_locks WHERE mode = 'ShareRowExclusiveLock' AND granted"
               " AND relation = 'tide.consumer_offsets'::regclass") == "1";
  }));
  const auto relay = start_relay();
  EXPECT_TRUE(relay->wait_for_output("lock timeout", std::chrono::seconds(20))) << relay->err();
  EXPECT_EQ(sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2"
                " AND objid IN (SELECT offset_id FROM tide.consumer_offsets)"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"),
            "0");
  lock.terminate();
}

TEST_F(HighAvailability, APipelineRunsOnExactlyOneRelay) {
  set_up_pipeline();
  const auto first = start_relay();
  ASSERT_TRUE(first->wait_for_output(kRunning, seconds(10)));
  const auto second = start_relay();
  ASSERT_TRUE(second->wait_for_output("connected to PostgreSQL", seconds(10)));
  publish(1000);
  ASSERT_TRUE(js().wait_for_messages(stream_, 1000, seconds(10)));
  EXPECT_FALSE(second->wait_for_output(kRunning, milliseconds(1500)));
  EXPECT_NE(owner().find(":" + std::to_string(first->pid())), std::string::npos) << owner();
}

TEST_F(HighAvailability, AStoppedRelayHandsOverWithinASecond) {
  set_up_pipeline();
  const auto first = start_relay();
  ASSERT_TRUE(first->wait_for_output(kRunning, seconds(10)));
  const auto second = start_relay();
  ASSERT_TRUE(second->wait_for_output("connected to PostgreSQL", seconds(10)));
  ASSERT_EQ(first->terminate(), 0);
  const auto since = std::chrono::steady_clock::now();
  EXPECT_TRUE(second->wait_for_output(kRunning, seconds(10)));
  std::printf("taken over %.0f ms after the first ended\n",
              std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - since).count());
}

TEST_F(HighAvailability, AHungRelayIsReplacedAndCanNotCommitAfterwards) {
  set_up_pipeline();
  const auto first = start_relay();
  ASSERT_TRUE(first->wait_for_output(kRunning, seconds(10)));
  const auto second = start_relay();
  ASSERT_TRUE(second->wait_for_output("connected to PostgreSQL", seconds(10)));
  publish(100);
  ASSERT_TRUE(js().wait_for_messages(stream_, 100, seconds(10)));

  first->kill(SIGSTOP);
  const auto since = std::chrono::steady_clock::now();
  publish(100, "later");
  EXPECT_TRUE(second->wait_for_output(kRunning, seconds(20)));
  std::printf("taken over %.0f ms after the first hung\n",
              std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - since).count());
  EXPECT_TRUE(js().wait_for_messages(stream_, 200, seconds(10)));

  first->kill(SIGCONT);
  EXPECT_TRUE(first->wait_for_output("the PostgreSQL session was", seconds(10))) << "it notices that it lost its locks";
  publish(100, "last");
  EXPECT_TRUE(js().wait_for_messages(stream_, 300, seconds(10)));
  ASSERT_TRUE(eventually(seconds(5), [&] { return sql("SELECT lag FROM tide.consumer_lag") == "0"; }));
  EXPECT_EQ(js().info(stream_).messages, 300u);
  EXPECT_NE(owner().find(":" + std::to_string(second->pid())), std::string::npos) << owner();
}

TEST_F(HighAvailability, ARestartOfPostgresIsRiddenOut) {
  set_up_pipeline();
  const auto relay = start_relay();
  publish(1000);
  ASSERT_TRUE(js().wait_for_messages(stream_, 1000, seconds(10)));
  postgres_->stop(Stop::fast);
  postgres_->start();
  publish(1000, "later");
  EXPECT_TRUE(js().wait_for_messages(stream_, 2000, seconds(20)));
  EXPECT_EQ(js().info(stream_).messages, 2000u);
  EXPECT_EQ(relay->terminate(), 0);
}

TEST_F(HighAvailability, APoolerInTransactionModeIsRefused) {
  ASSERT_EQ(relay("init").exit_code, 0);
  const TempDir dir;
  const auto port = std::to_string(free_port());
  const auto name = url_.substr(url_.rfind('/') + 1);
  std::ofstream(dir / "userlist.txt") << "\"postgres\" \"\"\n";
  std::ofstream(dir / "pgbouncer.ini") << "[databases]\n"
                                       << name << " = host=127.0.0.1 port=" << postgres_->port()
                                       << " user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = " << port
                                       << "\nauth_type = trust\nauth_file = " << (dir / "userlist.txt").string()
                                       << "\npool_mode = transaction\nunix_socket_dir =\n";
  std::filesystem::permissions(dir.path(), std::filesystem::perms::all);
  const auto pgbouncer = find_program("TIDE_TEST_PGBOUNCER", "pgbouncer", {"/usr/sbin"}).string();
  ProcessOptions options;
  if (::geteuid() == 0) options.user = "postgres";
  Process pooler({pgbouncer, dir / "pgbouncer.ini"}, options);
  url_ = "postgresql://postgres@127.0.0.1:" + port + "/" + name;
  ASSERT_TRUE(eventually(seconds(10), [&] {
    try {
      return sql("SELECT 1") == "1";
    } catch (const std::exception&) {
      return false;
    }
  })) << pooler.err();
  const auto result = relay("run", {"--once"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("pooler in transaction mode"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace tide::test
