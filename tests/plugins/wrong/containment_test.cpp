// A running relay with a plugin that is wrong: it is told clearly, and the other pipelines go on; a crash names the
// plugin.
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "support/servers.hpp"

namespace tide::test {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class Relay : public testing::Test {
 protected:
  static void SetUpTestSuite() { postgres_ = std::make_unique<PostgresServer>(); }
  static void TearDownTestSuite() { postgres_.reset(); }

  // A relay with the pipelines `good`, whose sink is right, and `bad`, with events for both.
  std::unique_ptr<Process> start_with(const std::string& plugin, const std::vector<std::string>& more = {}) {
    url_ = postgres_->create_database();
    EXPECT_EQ(run({variable("TIDE_RELAY"), "init", "--postgres-url", url_}).exit_code, 0);
    for (const auto& name : {std::string("right"), plugin})
      fs::copy_file(variable("TIDE_WRONG_PLUGINS") + "/" + name + ".so", dir_ / (name + ".so"));
    for (const auto& [pipeline, sink] : {std::pair{"good", std::string("right")}, {"bad", plugin}}) {
      sql("SELECT tide.outbox_create('" + std::string(pipeline) + "'); SELECT tide.relay_set_outbox('" + pipeline +
          "', '" + pipeline + R"(', 'g', '{"sink_type": ")" + sink + "\"}'); SELECT tide.relay_enable('" + pipeline +
          "'); SELECT count(tide.outbox_publish('" + pipeline + "', '{}')) FROM generate_series(1, 20)");
    }
    std::vector<std::string> words{variable("TIDE_RELAY"), "run", "--postgres-url", url_};
    words.insert(words.end(), more.begin(), more.end());
    return std::make_unique<Process>(
        words, ProcessOptions{{{"TIDE_RELAY_PLUGIN_PATH", dir_.path().string()}}, {}, {}, {}, {}});
  }
  std::string sql(const std::string& statements) const { return postgres_->psql(url_, statements); }

  void expect_good_goes_on() {
    EXPECT_TRUE(eventually(20s, [&] { return lag("good") == "0"; })) << lag("good");
    sql("SELECT tide.outbox_publish('good', '{}')");
    EXPECT_TRUE(eventually(20s, [&] { return lag("good") == "0"; })) << "it stood still later";
  }
  std::string lag(const std::string& outbox) const {
    return sql("SELECT lag FROM tide.consumer_lag WHERE outbox = '" + outbox + "'");
  }

  inline static std::unique_ptr<PostgresServer> postgres_;
  const TempDir dir_;
  std::string url_;
};

struct Wrong {
  const char* plugin;
  const char* message;
};

void PrintTo(const Wrong& wrong, std::ostream* out) {
  *out << wrong.plugin;
}

class RelayWithAWrongPlugin : public Relay, public testing::WithParamInterface<Wrong> {};

TEST_P(RelayWithAWrongPlugin, TellsItAndGoesOnWithTheOthers) {
  const auto relay = start_with(GetParam().plugin);
  ASSERT_TRUE(relay->wait_for_output(GetParam().message, 30s)) << relay->err();
  expect_good_goes_on();
  EXPECT_TRUE(relay->running());
}

INSTANTIATE_TEST_SUITE_P(
    Each, RelayWithAWrongPlugin,
    testing::Values(Wrong{"wrong_major", "wrong_major.so is refused: it was built for sink ABI 2.0"},
                    Wrong{"short_descriptor", "short_descriptor.so is refused: its descriptor has 72 bytes"},
                    Wrong{"missing_entry", "missing_entry.so is refused: it has no function tide_sink_v1()"},
                    Wrong{"missing_operation", "missing_operation.so is refused: it lacks one of the operations"},
                    Wrong{"unknown_capability", "unknown_capability.so is refused: it needs a capability"},
                    Wrong{"exports_too_much", "exports 1 symbols beside tide_sink_v1, such as compress"},
                    Wrong{"throws", "sink throws: an exception left its publish()"},
                    Wrong{"takes_too_many", "sink takes_too_many: it says that it took 21 of 20 messages"},
                    Wrong{"acks_twice", "sink acks_twice: it gave a result for token"},
                    Wrong{"acks_unknown", "sink acks_unknown: it gave a result for token 51, which it was never given"},
                    Wrong{"wrong_status", "sink wrong_status: it gave the status 9, which does not exist"},
                    Wrong{"stands_later", "sink stands_later: it gave a result for token 0, which is not in flight"},
                    Wrong{"never_acks", "sink never_acks: no result for any of 20 messages for 10 s"},
                    Wrong{"hangs_in_connect", "hangs in its connect() for 10 s; this pipeline stands still"},
                    Wrong{"says_nothing", "sink says_nothing: connect failed without a word"}),
    [](const auto& wrong) { return std::string(wrong.param.plugin); });

TEST_F(Relay, NamesThePluginThatCrashes) {
  const auto relay = start_with("crashes");
  EXPECT_EQ(relay->wait(30s), 128 + SIGABRT);
  EXPECT_NE(relay->err().find("SIGABRT in the plugin crashes ("), std::string::npos) << relay->err();
  EXPECT_NE(relay->err().find("in its publish() for pipeline 'bad'"), std::string::npos) << relay->err();
}

TEST_F(Relay, NamesThePluginThatCrashesWhenItIsLoaded) {
  const auto relay = start_with("crashes_at_load");
  EXPECT_EQ(relay->wait(30s), 128 + SIGSEGV);
  EXPECT_NE(relay->err().find("SIGSEGV in the plugin crashes_at_load ("), std::string::npos) << relay->err();
}

TEST_F(Relay, EndsWithoutAPluginThatHangs) {
  const auto relay = start_with("hangs_in_connect");
  ASSERT_TRUE(relay->wait_for_output("hangs in its connect()", 30s)) << relay->err();
  EXPECT_TRUE(eventually(
      10s, [&] { return sql("SELECT state FROM tide.relay_pipelines WHERE pipeline = 'bad'") == "failed"; }));
  relay->kill(SIGTERM);
  EXPECT_EQ(relay->wait(10s), 1) << relay->err();
  EXPECT_NE(relay->err().find("the relay ends without it"), std::string::npos) << relay->err();
}

TEST_F(Relay, RunOnceEndsWithoutAPluginThatHangs) {
  const auto relay = start_with("hangs_in_connect", {"--once"});
  EXPECT_EQ(relay->wait(30s), 1) << relay->err();
  EXPECT_EQ(lag("good"), "0");
}

TEST_F(Relay, LogsEachPluginThatItLoadsOnceWithItsFileAndVersion) {
  const auto relay = start_with("never_acks");
  EXPECT_TRUE(relay->wait_for_output("plugin right 1.0.0 is loaded from " + (dir_ / "right.so").string(), 10s));
  expect_good_goes_on();
  const auto text = relay->err();
  const auto first = text.find("plugin right 1.0.0");
  EXPECT_EQ(text.find("plugin right 1.0.0", first + 1), std::string::npos) << text;
}

}  // namespace
}  // namespace tide::test
