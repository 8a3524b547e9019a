#include <unistd.h>

#include "config/config_file.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <map>

namespace tide {
namespace {

std::optional<std::string> fake(const std::string& name) {
  static const std::map<std::string, std::string> kVariables = {{"DATABASE_URL", "postgres://u:hunter2@h/db"},
                                                                {"BOX", "orders"}};
  const auto found = kVariables.find(name);
  return found == kVariables.end() ? std::nullopt : std::optional(found->second);
}

FileConfig parse(std::string_view text) {
  return parse_config(text, "relay.toml", EnvPolicy::any(fake));
}

std::string errors_of(std::string_view text) {
  try {
    parse(text);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

constexpr std::string_view kFull = R"([postgres]
url = "${env:DATABASE_URL}"
connections = 3
[catalog]
enabled = false
env_allow = ["A_*", "${env:BOX}"]
data_dir = "/data"
[plugins]
path = ["/opt/sinks", "/more"]
[log]
level = "debug"
format = "json"
[pipelines.second]
outbox = "${env:BOX}"
group = "g2"
enabled = false
[pipelines.second.sink]
sink_type = "nats"
[pipelines.first]
outbox = "orders"
group = "g1"
[pipelines.first.sink]
sink_type = "nats"
url = "${env:NOT_EXPANDED_HERE}"
retry.max_ms = 5
ratio = 1.5
list = [1, true, "x", { a = 1 }]
)";

TEST(ConfigFile, ReadsEverySection) {
  const auto config = parse(kFull);
  EXPECT_EQ(config.postgres.url, "postgres://u:hunter2@h/db");
  EXPECT_EQ(config.postgres.connections, 3);
  EXPECT_FALSE(config.catalog.enabled);
  EXPECT_EQ(config.catalog.env_allow, (std::vector<std::string>{"A_*", "orders"}));
  EXPECT_EQ(config.catalog.data_dir, "/data");
  EXPECT_EQ(config.plugins.path, (std::vector<std::string>{"/opt/sinks", "/more"}));
  EXPECT_EQ(config.log.level, "debug");
  EXPECT_EQ(config.log.format, "json");

  ASSERT_EQ(config.pipelines.size(), 2U);
  const auto& second = config.pipelines[0];
  EXPECT_EQ(second.name, "second");
  EXPECT_EQ(second.outbox, "orders");
  EXPECT_EQ(second.group, "g2");
  EXPECT_FALSE(second.enabled);
  const auto& first = config.pipelines[1];
  EXPECT_EQ(first.name, "first");
  EXPECT_TRUE(first.enabled);
  EXPECT_TRUE(first.from_file);
  EXPECT_EQ(first.file, "relay.toml");
  EXPECT_EQ(first.where, "pipeline 'first'");
  EXPECT_EQ(
      to_json(first.sink),
      R"({"sink_type":"nats","url":"${env:NOT_EXPANDED_HERE}","retry":{"max_ms":5},"ratio":1.5,"list":[1,true,"x",{"a":1}]})");
  EXPECT_EQ(first.sink.find("url")->line, 24);
  EXPECT_EQ(first.sink.find("retry")->find("max_ms")->line, 25);
}

TEST(ConfigFile, AnEmptyFileGivesTheDefaults) {
  for (const char* text : {"", "# nothing\n", "\xef\xbb\xbf", "[postgres]\n[pipelines]\n"}) {
    const auto config = parse(text);
    EXPECT_EQ(config.postgres.url, "");
    EXPECT_EQ(config.postgres.connections, 8);
    EXPECT_TRUE(config.catalog.enabled);
    EXPECT_EQ(config.catalog.env_allow, (std::vector<std::string>{"NATS_*", "TIDE_*"}));
    EXPECT_EQ(config.catalog.data_dir, "/var/lib/tide-relay");
    EXPECT_EQ(config.log.level, "info");
    EXPECT_EQ(config.log.format, "text");
    EXPECT_TRUE(config.pipelines.empty());
  }
}

TEST(ConfigFile, TellsEveryProblemAtOnceWithItsLine) {
  EXPECT_EQ(errors_of(R"([postgres]
url = 5
connections = 65
conections = 1
[catalog]
enabled = "yes"
env_allow = "NATS_*"
data_dir = "${env:MISSING}"
[log]
level = "trace"
[postgress]
[pipelines.a]
outbox = "o"
[pipelines.b]
outbox = ""
group = "${env:MISSING}"
sink = "nats"
[pipelines.b.snk]
)"),
            R"(relay.toml:2: key 'postgres.url': must be a string, not an integer
relay.toml:3: key 'postgres.connections': must be 1 to 64, not 65
relay.toml:4: key 'postgres.conections': unknown key; did you mean 'connections'?
relay.toml:6: key 'catalog.enabled': must be a boolean, not a string
relay.toml:7: key 'catalog.env_allow': must be an array of strings, not a string
relay.toml:8: key 'catalog.data_dir': the environment variable MISSING is not set
relay.toml:10: key 'log.level': must be 'debug' or 'info' or 'warn' or 'error'
relay.toml:12: pipeline 'a', key 'group': is missing; it must be a string
relay.toml:12: pipeline 'a', key 'sink': is missing; it must be a table
relay.toml:15: pipeline 'b', key 'outbox': must not be empty
relay.toml:16: pipeline 'b', key 'group': the environment variable MISSING is not set
relay.toml:17: pipeline 'b', key 'sink': must be a table, not a string
relay.toml:18: pipeline 'b', key 'snk': unknown key; did you mean 'sink'?
relay.toml:11: key 'postgress': unknown key; did you mean 'postgres'?)");
}

TEST(ConfigFile, SectionsAreTables) {
  EXPECT_EQ(errors_of("postgres = 'x'\nlog = [1]\npipelines = 3\n"),
            "relay.toml:1: key 'postgres': must be a table, not a string\n"
            "relay.toml:2: key 'log': must be a table, not an array\n"
            "relay.toml:3: key 'pipelines': must be a table of pipelines, [pipelines.NAME]");
  EXPECT_EQ(errors_of("[pipelines]\na = 1\n"), "relay.toml:2: pipeline 'a': must be a table, not an integer");
  EXPECT_EQ(errors_of("[[pipelines]]\noutbox = 'x'\n"),
            "relay.toml:1: key 'pipelines': must be a table of pipelines, [pipelines.NAME]");
}

TEST(ConfigFile, ArraysHoldStrings) {
  EXPECT_EQ(errors_of("[plugins]\npath = ['a',\n 5]\n"),
            "relay.toml:3: key 'plugins.path': must be an array of strings, not an integer");
}

TEST(ConfigFile, DatesAndInfinityAreRefusedOnce) {
  for (const char* text : {"[postgres]\nurl = 1979-05-27\n", "[postgres]\nurl = inf\n", "[postgres]\nurl = nan\n",
                           "[postgres]\nurl = 07:32:00\n", "[postgres]\nurl = 1979-05-27T07:32:00Z\n"}) {
    EXPECT_EQ(errors_of(text),
              "relay.toml:2: dates, times, inf and nan have no meaning here; write a string or a number")
        << text;
  }
}

TEST(ConfigFile, TwoPipelinesNeverShareAnOffset) {
  const std::string text = R"([pipelines.a]
outbox = "orders"
group = "g"
sink = {}
[pipelines.b]
outbox = "${env:BOX}"
group = "g"
sink = {}
[pipelines.c]
outbox = "orders"
group = "other"
sink = {}
)";
  EXPECT_EQ(
      errors_of(text),
      "relay.toml:5: pipeline 'b', key 'group': has the same outbox and group as pipeline 'a'; the two would share one "
      "offset, so give one of them another group");
}

TEST(ConfigFile, APipelineHasAName) {
  EXPECT_EQ(errors_of("[pipelines.\"\"]\noutbox = 'o'\ngroup = 'g'\nsink = {}\n"),
            "relay.toml:1: pipeline '': the pipeline needs a name");
  const auto config = parse("[pipelines.\"a.b\\nc\"]\noutbox = 'o'\ngroup = 'g'\nsink = {}\n");
  EXPECT_EQ(config.pipelines[0].name, "a.b\nc");
  EXPECT_EQ(config.pipelines[0].where, "pipeline 'a.b?c'");
}

TEST(ConfigFile, SyntaxErrorsTellLineAndColumn) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"[postgres\n", "relay.toml:1:10: not valid TOML"},
      {"a = 1\nb = = 2\n", "relay.toml:2:"},
      {"a = 1\na = 2\n", "relay.toml:2:"},
      {"a = \"\xff\"\n", "relay.toml:1:"},
      {"a = 99999999999999999999\n", "relay.toml:1:"},
      {"a = 'x", "relay.toml:1:"},
      {"a = tru\nb", "relay.toml:1:"},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(errors_of(text).find(expected), 0U) << text << errors_of(text);
    EXPECT_EQ(errors_of(text).find('\n'), std::string::npos) << errors_of(text);
  }
}

TEST(ConfigFile, DepthBombsAreRefused) {
  EXPECT_NE(errors_of("a = " + std::string(100000, '[')).find("not valid TOML"), std::string::npos);
  EXPECT_NE(
      errors_of("a = " + std::string(70, '[') + std::string(70, ']')).find("toml:1: is nested more than 64 levels"),
      std::string::npos);
}

TEST(ConfigFile, NoErrorHoldsASecret) {
  for (const char* text :
       {"[postgres]\nurl = \"postgres://u:hunter2@h\n", "[postgres]\nurl = [\"hunter2\"]\n",
        "[log]\nlevel = \"hunter2\"\n", "[log]\nlevel = \"${env:DATABASE_URL}\"\n", "[postgres]\nurll = \"hunter2\"\n",
        "[postgres]\nurl = \"x${hunter2}\"\n", "[postgres]\nurl = hunter2\n"}) {
    EXPECT_NE(errors_of(text), "no error") << text;
    EXPECT_EQ(errors_of(text).find("hunter2"), std::string::npos) << errors_of(text);
  }
}

TEST(ConfigFile, IsReadFromDisk) {
  const std::string path = testing::TempDir() + std::to_string(::getpid()) + "-tide_config_file_test.toml";
  std::ofstream(path) << "[log]\nlevel = \"warn\"\n";
  EXPECT_EQ(load_config(path).log.level, "warn");
  std::ofstream(path) << "[log]\nlevel = 1\n";
  try {
    load_config(path);
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_EQ(std::string(error.what()), path + ":2: key 'log.level': must be a string, not an integer");
  }
  std::remove(path.c_str());
}

TEST(ConfigFile, SeveralMakeOne) {
  const std::string first = testing::TempDir() + std::to_string(::getpid()) + "-tide_first.toml";
  const std::string second = testing::TempDir() + std::to_string(::getpid()) + "-tide_second.toml";
  const auto pipeline = [](const std::string& name, const std::string& group) {
    return "[pipelines." + name + "]\noutbox = \"o\"\ngroup = \"" + group + "\"\nsink = { sink_type = \"x\" }\n";
  };
  std::ofstream(first) << "[postgres]\nurl = \"u\"\n" << pipeline("a", "a");
  std::ofstream(second) << "[postgres]\nconnections = 3\n[log]\nlevel = \"warn\"\n" << pipeline("b", "b");
  const auto config = load_config(std::vector{first, second});
  EXPECT_EQ(config.postgres.url, "u");
  EXPECT_EQ(config.postgres.connections, 3);
  ASSERT_EQ(config.pipelines.size(), 2U);
  EXPECT_EQ(config.pipelines[1].file, second);

  std::ofstream(second) << "[postgres]\nurl = \"v\"\n" << pipeline("a", "c") << pipeline("d", "a");
  try {
    load_config(std::vector{first, second});
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_EQ(
        std::string(error.what()),
        second + ":2: key 'postgres.url': is set in " + first + " already; leave one of the two out\n" + second +
            ":3: pipeline 'a': is set in " + first + " already; give one of the two another name\n" + second +
            ":7: pipeline 'd', key 'group': has the same outbox and group as pipeline 'a'; the two would share one "
            "offset, so give one of them another group");
  }
  std::ofstream(first) << "[postgres\n";
  try {
    load_config(std::vector{first, second + ".missing"});
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.problems().size(), 2U) << error.what();
  }
  std::remove(first.c_str());
  std::remove(second.c_str());
}

TEST(ConfigFile, OneThatCannotBeReadSaysWhy) {
  for (const auto& [path, reason] : std::vector<std::pair<std::string, std::string>>{
           {"/no/such/file.toml", "No such file or directory"}, {"/tmp", "Is a directory"}}) {
    try {
      load_config(path);
      FAIL();
    } catch (const ConfigError& error) {
      EXPECT_EQ(std::string(error.what()), path + ": the configuration file can't be read: " + reason);
    }
  }
}

}  // namespace
}  // namespace tide
