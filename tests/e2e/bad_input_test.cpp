// Bad input ends in one clear message that names the pipeline, the key and the way out.
#include <fstream>

#include "e2e/relay_program.hpp"

namespace tide::test {
namespace {

using ::testing::Test;

class BadInput : public Servers {
 protected:
  void expect(const RunResult& result, int exit_code, const std::vector<std::string>& texts) {
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    for (const auto& text : texts) {
      EXPECT_NE(result.err.find(text), std::string::npos) << "missing: " << text << "\nin: " << result.err;
    }
  }
  RunResult once_with(const std::string& sink_json) {
    EXPECT_EQ(relay("init").exit_code, 0);
    sql("SELECT tide.outbox_create('orders'); SELECT tide.relay_set_outbox('p', 'orders', 'g', '" + sink_json +
        "'); SELECT tide.relay_enable('p'); SELECT tide.outbox_publish('orders', '{}')");
    return relay("run", {"--once"});
  }
  void expect_nothing_lost() { EXPECT_EQ(sql("SELECT lag FROM tide.consumer_lag"), "1"); }
};

TEST_F(BadInput, UnknownKeyWrongTypeAndMissingKeyAreToldTogether) {
  const auto result = once_with(R"({"sink_type": "nats", "urll": "x", "subject": 5})");
  expect(result, 2,
         {"pipeline 'p'", "urll", "did you mean 'url'", "key 'subject'", "must be a string", "key 'url'", "missing"});
  expect_nothing_lost();
  EXPECT_EQ(sql("SELECT state FROM tide.relay_pipelines"), "misconfigured");
}

TEST_F(BadInput, AMissingVariableIsNamed) {
  const auto result = once_with(R"({"sink_type": "nats", "url": "${env:NATS_NOWHERE}", "subject": "a"})");
  expect(result, 2, {"pipeline 'p'", "key 'url'", "NATS_NOWHERE"});
  expect_nothing_lost();
}

TEST_F(BadInput, TheCatalogReadsOnlyVariablesThatTheFileAllows) {
  env_["HOME_SECRET"] = "s3cret";
  const auto result = once_with(R"({"sink_type": "nats", "url": "nats://${env:HOME_SECRET}", "subject": "a"})");
  expect(result, 2, {"HOME_SECRET", "env_allow"});
  EXPECT_EQ(result.err.find("s3cret"), std::string::npos);
}

TEST_F(BadInput, ABadTemplateIsShownWithItsPlace) {
  expect(once_with(R"({"sink_type": "nats", "url": "nats://localhost", "subject": "a.{nope}"})"), 2,
         {"pipeline 'p'", "key 'subject'", "nope", "stream_table"});
}

TEST_F(BadInput, ASinkTypeWithoutAPluginNamesWhatThereIs) {
  expect(once_with(R"({"sink_type": "kafka"})"), 2, {"pipeline 'p'", "kafka", "nats", "TIDE_RELAY_PLUGIN_PATH"});
}

TEST_F(BadInput, AFileThatIsNoPluginIsRefusedByName) {
  const TempDir dir;
  std::ofstream(dir / "broken.so") << "this is not a shared object";
  env_["TIDE_RELAY_PLUGIN_PATH"] = dir.path().string();
  expect(once_with(R"({"sink_type": "nats"})"), 2, {"broken.so", "can not be loaded"});
}

TEST_F(BadInput, APluginOfAnotherAbiMajorIsRefusedByName) {
  env_["TIDE_RELAY_PLUGIN_PATH"] = variable("TIDE_OTHER_ABI_DIR");
  expect(once_with(R"({"sink_type": "nats"})"), 2, {"other_abi.so", "another ABI major"});
}

TEST_F(BadInput, PostgresThatIsNotReachableIsToldWithItsAddress) {
  url_ = "postgresql://postgres@127.0.0.1:" + std::to_string(free_port()) + "/x";
  for (const char* command : {"init", "status"}) expect(relay(command), 1, {"PostgreSQL", "Connection refused"});
  expect(relay("run", {"--once"}), 1, {"PostgreSQL", "Connection refused"});
}

TEST_F(BadInput, NatsThatIsNotReachableGivesTheSpecificationsHelp) {
  const auto port = std::to_string(free_port());
  expect(once_with(R"({"sink_type": "nats", "url": "nats://127.0.0.1:)" + port + R"(", "subject": "a"})"), 1,
         {"pipeline 'p'", "Connection refused", port, "firewall"});
  expect_nothing_lost();
}

TEST_F(BadInput, AMissingStreamGivesTheCommandThatMakesIt) {
  expect(
      once_with(R"({"sink_type": "nats", "url": ")" + nats_->url() + R"(", "subject": "lost.{op}", "stream": "LOST"})"),
      1, {"pipeline 'p'", "Stream not found", "nats stream add LOST --subjects \"lost.>\""});
  expect_nothing_lost();
}

TEST_F(BadInput, WithoutTheSchemaTheMessageSaysHowToInstallIt) {
  expect(relay("run", {"--once"}), 1, {"no schema tide", "tide-relay init"});
}

TEST_F(BadInput, AForeignSchemaIsRefusedAndNotTouched) {
  sql("CREATE SCHEMA tide; CREATE TABLE tide.mine (a int)");
  expect(relay("init"), 1, {"Tide Relay did not make", "left alone"});
  EXPECT_EQ(sql("SELECT count(*) FROM pg_class WHERE relnamespace = 'tide'::regnamespace"), "1");
}

TEST_F(BadInput, ANewerSchemaIsRefused) {
  ASSERT_EQ(relay("init").exit_code, 0);
  sql("UPDATE tide.installation SET schema_version = 999");
  expect(relay("init"), 1, {"999", "upgrade tide-relay"});
  expect(relay("run", {"--once"}), 1, {"999", "upgrade tide-relay"});
}

TEST_F(BadInput, UsageErrorsExitWith2AndHelpWith0) {
  EXPECT_EQ(run({program()}).exit_code, 2);
  EXPECT_EQ(run({program(), "fly"}).exit_code, 2);
  EXPECT_EQ(run({program(), "run"}, {{"DATABASE_URL", {}}}).exit_code, 2) << "no PostgreSQL named";
  const auto help = run({program(), "--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const char* word : {"init", "run", "check", "status", "plugins", "Exit codes"}) {
    EXPECT_NE(help.out.find(word), std::string::npos) << word;
  }
}

TEST_F(BadInput, AFilesFaultsAreToldTogetherWithTheirLines) {
  const TempDir dir;
  std::ofstream(dir / "relay.toml") << "[pipelines.a]\noutbox = 5\n[pipelines.a.sink]\nsink_type = \"nats\"\n[zoo]\n";
  const auto result = run({program(), "check", "--config", dir / "relay.toml"});
  expect(result, 2, {"relay.toml:2", "pipeline 'a'", "outbox", "group", "relay.toml:5", "zoo"});
}

TEST_F(BadInput, TwoPipelinesOfOneGroupAreRefused) {
  ASSERT_EQ(relay("init").exit_code, 0);
  sql("SELECT tide.outbox_create('orders'); SELECT tide.relay_set_outbox('p', 'orders', 'g', '{\"sink_type\": "
      "\"nats\"}')");
  const TempDir dir;
  std::ofstream(dir / "relay.toml") << "[pipelines.q]\noutbox = \"orders\"\ngroup = \"g\"\n[pipelines.q.sink]\n"
                                       "sink_type = \"nats\"\nurl = \""
                                    << nats_->url() << "\"\nsubject = \"a\"\n";
  expect(relay("run", {"--once", "--config", dir / "relay.toml"}), 2,
         {"pipeline \"p\"", "pipeline \"q\"", "can not share"});
}

TEST_F(BadInput, AConfigurationInTheCatalogThatCannotBeReadStopsItsPipelineAlone) {
  set_up_pipeline();
  sql(R"(SELECT tide.relay_set_outbox('odd', 'orders', 'odd', '{"sink_type": "nats", "batch_size": 1e400}'))");
  sql("SELECT tide.relay_enable('odd')");
  const auto relay = start_relay();
  EXPECT_TRUE(relay->wait_for_output("pipeline 'odd': not valid JSON: a number is", std::chrono::seconds(10)))
      << relay->err();
  publish(1);
  EXPECT_TRUE(js().wait_for_messages(stream_, 1, std::chrono::seconds(10)));
  EXPECT_EQ(sql("SELECT state FROM tide.relay_pipelines WHERE pipeline = 'odd'"), "misconfigured");
  EXPECT_EQ(relay->err().find("stopping what runs"), std::string::npos) << relay->err();
  EXPECT_EQ(relay->terminate(), 0);
}

TEST_F(BadInput, ALoginWithoutItsRoleIsToldWhichOneItNeeds) {
  ASSERT_EQ(relay("init").exit_code, 0);
  sql("CREATE ROLE stranger LOGIN");
  const auto database = url_.substr(url_.rfind('/') + 1);
  for (const auto* command : {"run", "status", "check"}) {
    auto words = std::vector<std::string>{program(), command, "--postgres-url", postgres_->url(database, "stranger")};
    if (words[1] == "run") words.push_back("--once");
    if (words[1] == "check") words.push_back("--connect");
    expect(run(words, env_), 1, {"permission denied for schema tide", "GRANT tide_relay TO"});
  }
}

}  // namespace
}  // namespace tide::test
