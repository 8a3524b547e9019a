// `tide-relay plugins test`: finds each way to be wrong, and nothing in what is right.
#include <gtest/gtest.h>

#include <fstream>

#include "support/servers.hpp"

namespace tide::test {
namespace {

RunResult try_plugin(const std::string& file, const std::string& sink_config) {
  const TempDir dir;
  std::ofstream(dir / "sink.json") << sink_config;
  return run({variable("TIDE_RELAY"), "plugins", "test", file, "--sink-config", dir / "sink.json"});
}

// One of the folder's, with these options beside its type.
RunResult try_wrong(const std::string& name, const std::string& options = {}) {
  return try_plugin(variable("TIDE_WRONG_PLUGINS") + "/" + name + ".so",
                    R"({"sink_type": ")" + name + '"' + options + '}');
}

struct Wrong {
  const char* plugin;
  const char* check;    // that fails
  const char* finding;  // with this, after it
  const char* options = "";
};

void PrintTo(const Wrong& wrong, std::ostream* out) {
  *out << wrong.plugin;
}

class WrongPlugin : public testing::TestWithParam<Wrong> {};

TEST_P(WrongPlugin, FailsTheCheckThatNamesItsRule) {
  const auto& [plugin, check, finding, options] = GetParam();
  const auto result = try_wrong(plugin, options);
  EXPECT_EQ(result.exit_code, 1) << result.err;
  const auto failed = result.out.find(std::string("FAILED  ") + check);
  ASSERT_NE(failed, std::string::npos) << result.out;
  const auto found = result.out.find(finding, failed);
  EXPECT_NE(found, std::string::npos) << result.out;
}

INSTANTIATE_TEST_SUITE_P(
    Each, WrongPlugin,
    testing::Values(Wrong{"wrong_major", "load", "built for sink ABI 2.0"},
                    Wrong{"short_descriptor", "load", "its descriptor has 72 bytes"},
                    Wrong{"missing_entry", "load", "no function tide_sink_v1()"},
                    Wrong{"missing_operation", "load", "lacks one of the operations"},
                    Wrong{"writes_at_load", "load", "R1: loading it wrote: here I am"},
                    Wrong{"unknown_capability", "load",
                          "needs a capability that this relay does not know; upgrade the relay (rule R6)"},
                    Wrong{"exports_too_much", "load", "R2: it exports compress"},
                    Wrong{"crashes_at_load", "load", "R8: tide-relay: SIGSEGV in the plugin crashes_at_load"},
                    Wrong{"hangs_in_connect", "connect", "R10: the plugin hangs_in_connect"},
                    Wrong{"says_nothing", "connect", "R12: connect() failed and did not say why"},
                    Wrong{"throws", "results", "R8: an exception left publish()"},
                    Wrong{"crashes", "results", "R8: tide-relay: SIGABRT in the plugin crashes"},
                    Wrong{"takes_too_many", "results", "R14: publish() took 51 of 50"},
                    Wrong{"acks_twice", "results", "R17: a second result came for token 1"},
                    Wrong{"acks_unknown", "results", "R17: a result came for token 51"},
                    Wrong{"wrong_status", "results", "R18: the result for token 1 has the status 9"},
                    Wrong{"stands_later", "results", "R19: a result with token 0 came later than with the first ack"},
                    Wrong{"goes_back", "results", "R24: the position of token 2 is 999998, less than"},
                    Wrong{"tells_secret", "connect", "R25: its log shows the value of the secret option 'password'",
                          R"(, "password": "open sesame")"},
                    Wrong{"stores_nowhere", "down", "R23: a message was stored by a sink that is not there",
                          R"(, "url": "nowhere://there:1")"},
                    Wrong{"never_acks", "results", "R20: 300 of 300 messages have no result, and none came"},
                    Wrong{"hangs_in_close", "close", "R21: the plugin hangs_in_close"},
                    Wrong{"leaks_threads", "leaks", "R22: 90 more threads run"},
                    Wrong{"leaks_descriptors", "leaks", "R22: 30 more descriptors are open"},
                    Wrong{"leaks_instances", "leaks", "R22: memory grows"}),
    [](const auto& wrong) { return std::string(wrong.param.plugin); });

TEST(Conformance, PassesASinkThatDoesEverythingRight) {
  const auto result = try_wrong("right");
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_NE(result.out.find(" 0 failed"), std::string::npos) << result.out;
}

TEST(Conformance, PassesASinkThatHasRoomForOneInstance) {
  const auto result = try_wrong("one_at_a_time");
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
}

TEST(Conformance, PassesTheNatsSinkWithARealServer) {
  NatsServer nats;
  const auto result = try_plugin(variable("TIDE_NATS_PLUGIN"), R"({"sink_type": "nats", "url": ")" + nats.url() +
                                                                   R"(", "subject": "test.{op}", "stream": "TEST",
                                                                   "create_stream": true})");
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_NE(result.out.find("15 passed, 0 failed, 0 skipped"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("50 of them known to be there already"), std::string::npos) << result.out;
}

TEST(Conformance, WithoutAConfigurationDoesWhatNeedsNone) {
  const auto result = run({variable("TIDE_RELAY"), "plugins", "test", variable("TIDE_WRONG_PLUGINS") + "/right.so"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_NE(result.out.find("2 passed, 0 failed, 13 skipped"), std::string::npos) << result.out;
}

TEST(Conformance, RefusesAConfigurationThatIsNotTheSinks) {
  const auto file = variable("TIDE_WRONG_PLUGINS") + "/right.so";
  EXPECT_EQ(run({variable("TIDE_RELAY"), "plugins", "test", "/nowhere.so"}).exit_code, 2);
  EXPECT_EQ(try_plugin(file, "{").exit_code, 2);
  const auto other = try_plugin(file, R"({"sink_type": "nats"})");
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_NE(other.err.find("its sink_type is \"nats\", which right does not serve"), std::string::npos) << other.err;
}

TEST(Conformance, TakesTheFileOfARelayWithOnePipeline) {
  const TempDir dir;
  std::ofstream(dir / "relay.toml") << "[pipelines.a]\noutbox = \"o\"\ngroup = \"g\"\n[pipelines.a.sink]\n"
                                       "sink_type = \"right\"\n";
  const auto result = run({variable("TIDE_RELAY"), "plugins", "test", variable("TIDE_WRONG_PLUGINS") + "/right.so",
                           "--sink-config", dir / "relay.toml"});
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
}

}  // namespace
}  // namespace tide::test
