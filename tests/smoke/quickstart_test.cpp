// packaging/quickstart: shows the example's events, and leaves neither process nor file behind however it ends.
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <sstream>

#include "support/process.hpp"

namespace tide::test {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class Quickstart : public testing::Test {
 protected:
  // Open to the user `postgres`, which the script uses when it is root.
  void SetUp() override {
    fs::permissions(tmp_.path(), fs::perms::owner_all | fs::perms::group_exec | fs::perms::others_all);
  }

  std::vector<std::string> command(const std::vector<std::string>& options = {},
                                   const std::string& build = variable("TIDE_BUILD_ROOT")) const {
    std::vector<std::string> argv{variable("TIDE_SOURCE_ROOT") + "/packaging/quickstart", "--build", build};
    argv.insert(argv.end(), options.begin(), options.end());
    return argv;
  }

  Environment environment() const { return {{"TMPDIR", tmp_.path().string()}}; }

  // The command lines of processes that were told this test's folder.
  std::vector<std::string> processes() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const std::ifstream file(entry.path() / "cmdline");
      std::ostringstream text;
      text << file.rdbuf();
      std::error_code gone;
      const auto cwd = fs::read_symlink(entry.path() / "cwd", gone).string();
      if (cwd.starts_with(tmp_.path().string()) || text.str().find(tmp_.path().string()) != std::string::npos) {
        found.push_back(entry.path().string() + " " + text.str());
      }
    }
    return found;
  }

  void expect_nothing_left() const {
    EXPECT_EQ(processes(), std::vector<std::string>());
    EXPECT_TRUE(fs::is_empty(tmp_.path()));
  }

  TempDir tmp_;
};

TEST_F(Quickstart, ShowsEachEventAndTheLagGoingTo0) {
  const auto result = run(command(), environment());
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  std::size_t at = 0;
  for (const auto* expected :
       {"| nats-group     |   1", "subject      notifications.insert\n   Nats-Msg-Id  ord-555-shipped\n",
        R"("type": "order.shipped")", "consumer lag: 0", "Nats-Msg-Id  ord-556-created",
        "subject      notifications.update\n   Nats-Msg-Id  ord-556-paid", "consumer lag: 0",
        "| nats-group     |   0"}) {
    const auto found = result.out.find(expected, at);
    ASSERT_NE(found, std::string::npos) << "no \"" << expected << "\" in its place in\n" << result.out << result.err;
    at = found + 1;
  }
  EXPECT_EQ(result.out.find("Nats-Msg-Id  ord-557"), std::string::npos) << "a rolled back event was delivered";
  expect_nothing_left();
}

TEST_F(Quickstart, CtrlCEndsAllThatItStarted) {
  for (const auto* moment : {"PostgreSQL   postgresql:", "nats-server  nats:", "Out of JetStream"}) {
    Process process(command(), {.env = environment()});
    ASSERT_TRUE(process.wait_for_output(moment, 60s)) << process.out() << process.err();
    process.kill(SIGINT);
    EXPECT_EQ(process.wait(30s), 130) << moment;
    expect_nothing_left();
  }
}

TEST_F(Quickstart, AnErrorEndsAllThatItStarted) {
  const TempDir build;
  fs::create_directory(build / "core");
  std::ofstream(build / "core/tide-relay") << "#!/bin/sh\n[ $1 = --version ] || { echo 'init is broken'; exit 1; }\n";
  fs::permissions(build / "core/tide-relay", fs::perms::owner_all);
  const auto result = run(command({}, build.path().string()), environment());
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("init is broken"), std::string::npos) << result.out << result.err;
  expect_nothing_left();
}

TEST_F(Quickstart, KeptServersRunUntilTheyAreStopped) {
  const auto result = run(command({"--keep"}), environment());
  const std::string label = "Stop them:   ";
  const auto at = result.out.find(label);
  if (at == std::string::npos) {
    FAIL() << result.out << result.err;
  }
  const auto stop = result.out.substr(at + label.size(), result.out.find('\n', at) - at - label.size());
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_GE(processes().size(), 3U);
  EXPECT_EQ(run({stop}).exit_code, 0);
  expect_nothing_left();
}

TEST_F(Quickstart, HelpAndAWrongOption) {
  const auto script = command().front();
  EXPECT_NE(run({script, "--help"}).out.find("--keep"), std::string::npos);
  EXPECT_EQ(run({script, "--wrong"}).exit_code, 2);
}

}  // namespace
}  // namespace tide::test
