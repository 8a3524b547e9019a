// The relay as a service: what it tells its service manager, and a configuration that is read again.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <fstream>
#include <mutex>
#include <thread>

#include "support/servers.hpp"

namespace tide::test {
namespace {

using std::chrono::seconds;

// systemd's end of the notification protocol.
class NotifySocket {
 public:
  NotifySocket() : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof address.sun_path - 1);
    if (::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) throw std::runtime_error("bind");
    reader_ = std::jthread([this](const std::stop_token& stop) { read(stop); });
  }
  ~NotifySocket() {
    reader_ = {};  // joins
    ::close(fd_);
  }
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  [[nodiscard]] std::string path() const { return (dir_ / "notify").string(); }

  // Whether a message that begins so comes within the time. Those before it are dropped.
  bool hears(const std::string& wanted, milliseconds timeout = seconds(30)) {
    std::unique_lock lock(mutex_);
    bool heard = false;
    return heard_.wait_for(lock, timeout, [&] {
      for (; !heard && !messages_.empty(); messages_.pop_front()) heard = messages_.front().starts_with(wanted);
      return heard;
    });
  }

 private:
  // All the time: whoever writes to a socket that is full would wait.
  void read(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      pollfd waiting{fd_, POLLIN, 0};
      if (::poll(&waiting, 1, 20) <= 0) continue;
      std::array<char, 4096> buffer{};
      const auto size = ::recv(fd_, buffer.data(), buffer.size(), 0);
      if (size <= 0) continue;
      const std::lock_guard lock(mutex_);
      messages_.emplace_back(buffer.data(), static_cast<std::size_t>(size));
      heard_.notify_all();
    }
  }

  TempDir dir_;
  const int fd_;
  std::mutex mutex_;
  std::condition_variable heard_;
  std::deque<std::string> messages_;
  std::jthread reader_;
};

class Service : public testing::Test {
 protected:
  Service() : url_(server_.create_database()) {
    run({variable("TIDE_RELAY"), "init", "--postgres-url", url_});
    server_.psql(url_, "SELECT tide.outbox_create('orders')");
  }

  void configure(const std::string& pipelines) {
    std::ofstream(dir_ / "relay.toml") << "[postgres]\nurl = \"" << url_ << "\"\n" << pipelines;
  }
  [[nodiscard]] std::string pipeline(const std::string& name, const std::string& file) const {
    return "[pipelines." + name + "]\noutbox = \"orders\"\ngroup = \"" + name + "\"\n[pipelines." + name +
           ".sink]\nsink_type = \"jsonl\"\npath = \"" + (dir_ / file).string() + "\"\n";
  }
  // With the plugins that a test puts into its folder, too.
  std::unique_ptr<Process> start() {
    ProcessOptions options;
    options.env = {{"NOTIFY_SOCKET", notify_.path()},
                   {"WATCHDOG_USEC", "10000000"},
                   {"TIDE_RELAY_PLUGIN_PATH", variable("TIDE_RELAY_PLUGIN_PATH") + ':' + dir_.path().string()}};
    return std::make_unique<Process>(
        std::vector<std::string>{variable("TIDE_RELAY"), "run", "--config", (dir_ / "relay.toml").string()}, options);
  }
  static std::size_t count(const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
  }

  PostgresServer server_;
  const std::string url_;
  const TempDir dir_;
  NotifySocket notify_;
};

TEST_F(Service, IsReadyOncePostgresAnswered) {
  configure(pipeline("p", "p"));
  server_.stop();
  const auto relay = start();
  ASSERT_TRUE(notify_.hears("STATUS=", seconds(30))) << "it says what it waits for";
  EXPECT_TRUE(notify_.hears("WATCHDOG=1")) << "trying is progress";
  EXPECT_FALSE(notify_.hears("READY=1", seconds(2)));
  server_.start();
  EXPECT_TRUE(notify_.hears("STATUS=1 pipeline runs here"));
  EXPECT_TRUE(notify_.hears("READY=1"));
  EXPECT_TRUE(notify_.hears("WATCHDOG=1"));
  relay->kill(SIGTERM);
  EXPECT_TRUE(notify_.hears("STOPPING=1"));
  EXPECT_EQ(relay->wait(seconds(30)), 0);
}

TEST_F(Service, FeedsTheWatchdogByProgressOnly) {
  configure(pipeline("p", "p"));
  const auto relay = start();
  ASSERT_TRUE(notify_.hears("READY=1"));
  server_.pause();
  while (notify_.hears("WATCHDOG=1", milliseconds(1500))) {
  }  // of rounds that were answered before; the one that hangs lasts until postgres.deadline_ms
  EXPECT_FALSE(notify_.hears("WATCHDOG=1", seconds(3)));
  server_.resume();
  EXPECT_TRUE(notify_.hears("WATCHDOG=1"));
}

TEST_F(Service, FeedsTheWatchdogUntilEachPipelineHangsInAPlugin) {
  const std::string plugin = "hangs_in_connect.so";
  std::filesystem::copy_file(variable("TIDE_WRONG_PLUGINS") + '/' + plugin, dir_ / plugin);
  const std::string hangs =
      "[pipelines.hangs]\noutbox = \"orders\"\ngroup = \"hangs\"\n[pipelines.hangs.sink]\n"
      "sink_type = \"hangs_in_connect\"\n";
  configure(hangs + pipeline("works", "works"));
  const auto relay = start();
  ASSERT_TRUE(relay->wait_for_output("hangs in its connect() for", seconds(60))) << relay->err();
  ASSERT_TRUE(notify_.hears("STATUS=2 pipelines run here, of which 1 hang in a plugin")) << relay->err();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(notify_.hears("WATCHDOG=1")) << "a restart would end the work of the other";

  configure(hangs);
  relay->kill(SIGHUP);
  ASSERT_TRUE(notify_.hears("STATUS=1 pipeline runs here, of which 1 hang in a plugin", seconds(60))) << relay->err();
  EXPECT_FALSE(notify_.hears("WATCHDOG=1", seconds(3))) << "only another process is rid of the plugin";
}

TEST_F(Service, ReadsItsConfigurationAgain) {
  configure(pipeline("stays", "stays") + pipeline("changes", "before") + pipeline("goes", "goes"));
  const auto relay = start();
  ASSERT_TRUE(notify_.hears("STATUS=3 pipelines run here"));
  ASSERT_TRUE(notify_.hears("READY=1"));
  ASSERT_TRUE(relay->wait_for_output("pipeline 'goes': running", seconds(30)));

  configure(pipeline("stays", "stays") + pipeline("changes", "after") + pipeline("comes", "comes"));
  relay->kill(SIGHUP);
  ASSERT_TRUE(notify_.hears("RELOADING=1"));
  ASSERT_TRUE(notify_.hears("READY=1"));
  server_.psql(url_, "SELECT tide.outbox_publish('orders', '{}')");
  for (const auto* file : {"stays", "after", "comes"}) {
    EXPECT_TRUE(eventually(seconds(30), [&] { return std::filesystem::exists(dir_ / file); })) << file << relay->err();
  }
  for (const auto* file : {"before", "goes"}) {
    EXPECT_TRUE(!std::filesystem::exists(dir_ / file) || std::filesystem::file_size(dir_ / file) == 0) << file;
  }
  EXPECT_EQ(count(relay->err(), "pipeline 'stays': running"), 1U) << relay->err();
  EXPECT_TRUE(eventually(seconds(30), [&] { return count(relay->err(), "pipeline 'changes': running") == 2; }))
      << relay->err();

  configure("[pipelines.broken]\n");
  relay->kill(SIGHUP);
  ASSERT_TRUE(relay->wait_for_output("the one before stays in force", seconds(30)));
  EXPECT_TRUE(notify_.hears("READY=1"));
  EXPECT_NE(relay->err().find("relay.toml:3: pipeline 'broken', key 'outbox': is missing"), std::string::npos)
      << relay->err();
  server_.psql(url_, "SELECT tide.outbox_publish('orders', '{}')");
  EXPECT_TRUE(eventually(seconds(30), [&] {
    return server_.psql(url_, "SELECT sum(lag) FROM tide.consumer_lag WHERE pipeline <> 'goes'") == "0";
  }));
  EXPECT_EQ(relay->terminate(), 0);
}

}  // namespace
}  // namespace tide::test
