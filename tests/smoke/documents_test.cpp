// The documents say what the programs do: options, commands, examples and links.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "support/servers.hpp"

namespace tide::test {
namespace {

namespace fs = std::filesystem;

const fs::path& source() {
  static const fs::path root = variable("TIDE_SOURCE_ROOT");
  return root;
}

RunResult relay(std::vector<std::string> arguments) {
  const fs::path build = variable("TIDE_BUILD_ROOT");
  arguments.insert(arguments.begin(), (build / "core/tide-relay").string());
  return run(arguments, {{"DATABASE_URL", "postgresql://localhost/shop"}, {"NATS_URL", "nats://localhost:4222"}});
}

std::string read(const std::string& file) {
  const std::ifstream in(source() / file);
  EXPECT_TRUE(in.is_open()) << file;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<std::string> documents() {
  std::vector<std::string> files{"README.md", "CHANGELOG.md"};
  for (const auto& entry : fs::recursive_directory_iterator(source() / "docs")) {
    if (entry.path().extension() == ".md") files.push_back(fs::relative(entry.path(), source()).string());
  }
  return files;
}

// The blocks of a document that are marked as one language.
std::vector<std::string> blocks(const std::string& file, const std::string& language) {
  const std::string text = read(file);
  const std::string begin = "```" + language + "\n";
  std::vector<std::string> found;
  for (std::size_t at = 0; (at = text.find(begin, at)) != std::string::npos;) {
    at += begin.size();
    found.push_back(text.substr(at, text.find("```", at) - at));
  }
  return found;
}

// The sink types of the plugins that were built.
std::vector<std::string> sinks() {
  const auto list = relay({"plugins", "list"});
  EXPECT_EQ(list.exit_code, 0) << list.err;
  std::vector<std::string> types;
  const std::regex type(R"(sink_type (\w+))");
  for (std::sregex_iterator match(list.out.begin(), list.out.end(), type), none; match != none; ++match)
    types.push_back((*match)[1]);
  EXPECT_FALSE(types.empty());
  return types;
}

TEST(Documents, HoldTheOptionTablesThatTheProgramPrints) {
  for (const auto& sink : sinks()) {
    const std::string file = "docs/" + sink + ".md";
    const std::string text = read(file);
    const std::string begin = "<!-- options:" + sink + " begin -->\n";
    const auto from = text.find(begin);
    const auto to = text.find("<!-- options:" + sink + " end -->");
    ASSERT_TRUE(from != std::string::npos && to != std::string::npos) << file;
    const auto table = text.substr(from + begin.size(), to - from - begin.size());
    const auto info = relay({"plugins", "info", sink});
    ASSERT_EQ(info.exit_code, 0) << info.err;
    EXPECT_TRUE(table.size() > 500 && info.out.find(table) != std::string::npos)
        << "copy the table of `tide-relay plugins info " << sink << "` to " << file << ":\n"
        << info.out;
  }
}

TEST(Documents, LeadToThePageOfEverySink) {
  for (const auto& sink : sinks()) {
    EXPECT_NE(read("README.md").find("(docs/" + sink + ".md)"), std::string::npos) << sink;
    EXPECT_NE(read("docs/index.md").find("(" + sink + ".md)"), std::string::npos) << sink;
  }
}

// The names in the first column of a table.
std::vector<std::string> first_column(const std::string& text) {
  std::vector<std::string> names;
  const std::regex row(R"(\n\| ([a-z_.]+) \|)");
  for (std::sregex_iterator match(text.begin(), text.end(), row), none; match != none; ++match)
    names.push_back((*match)[1]);
  return names;
}

std::vector<std::string> options(const std::string& sink) {
  const auto info = relay({"plugins", "info", sink});
  EXPECT_EQ(info.exit_code, 0) << info.err;
  auto names = first_column(info.out);
  EXPECT_GT(names.size(), 12U);
  return names;
}

// "Suite.Name" of every test.
std::set<std::string> tests() {
  std::set<std::string> names;
  const std::regex test(R"(TEST(?:_F|_P)?\((\w+),\s+(\w+)\))");
  for (const auto& entry : fs::recursive_directory_iterator(source() / "tests")) {
    if (entry.path().extension() != ".cpp") continue;
    const std::string code = read(fs::relative(entry.path(), source()).string());
    for (std::sregex_iterator match(code.begin(), code.end(), test), none; match != none; ++match)
      names.insert((*match)[1].str() + "." + (*match)[2].str());
  }
  return names;
}

TEST(Documents, NameATestForEveryOption) {
  const auto known = tests();
  const std::string text = read("docs/nats-tests.md");
  std::map<std::string, std::size_t> rows;  // tests by first column
  const std::regex row(R"(\n\| ([^|]+) \| ([^|]+) \|)");
  for (std::sregex_iterator match(text.begin(), text.end(), row), none; match != none; ++match) {
    const std::string cell = (*match)[2];
    const std::regex name("`([^`]+)`");
    for (std::sregex_iterator test(cell.begin(), cell.end(), name); test != none; ++test) {
      ++rows[(*match)[1]];
      EXPECT_TRUE(known.contains((*test)[1])) << "there is no test " << (*test)[1] << ", for " << (*match)[1];
    }
  }
  for (const auto& option : options("nats"))
    EXPECT_GT(rows[option], 0U) << "name a test of the option " << option << " in docs/nats-tests.md";
}

// The sample configuration, with the keys that are commented out.
std::string with_every_key() {
  return std::regex_replace(read("packaging/tide-relay.toml"), std::regex("(^|\n)#([a-z[])"), "$1$2");
}

TEST(Documents, ShowEveryKeyInTheSampleConfiguration) {
  const auto with_all = with_every_key();
  for (const auto& text : {read("packaging/tide-relay.toml"), with_all}) {
    const TempDir dir;
    std::ofstream(dir / "tide-relay.toml") << text;
    const auto check = relay({"check", "--config", (dir / "tide-relay.toml").string()});
    EXPECT_EQ(check.exit_code, 0) << text << check.out << check.err;
  }
  const auto code = read("core/config/config_file.cpp");
  const std::regex key(R"(table\.(?:read|read_required)\("([a-z_]+)\")");
  for (std::sregex_iterator match(code.begin(), code.end(), key), none; match != none; ++match)
    EXPECT_NE(with_all.find("\n" + (*match)[1].str() + " = "), std::string::npos)
        << (*match)[1] << " is missing in packaging/tide-relay.toml";
}

// Those that every sink has stand with one of them.
TEST(Documents, ShowEveryOptionOfASinkWithItsDefaultInTheSampleConfiguration) {
  struct Row {
    std::string name, type, value, whole;
  };
  std::map<std::string, std::vector<Row>> tables;  // by sink
  std::map<std::string, std::size_t> sinks_with;   // the very same row
  for (const auto& sink : sinks()) {
    const auto info = relay({"plugins", "info", sink}).out;
    const std::regex row(R"(\n\| ([a-z_.]+) \| ([a-z]+) \| ([^|]*) \|[^\n]*)");
    for (std::sregex_iterator match(info.begin(), info.end(), row), none; match != none; ++match) {
      tables[sink].push_back({(*match)[1], (*match)[2], (*match)[3], (*match)[0]});
      ++sinks_with[(*match)[0]];
    }
    EXPECT_GT(tables[sink].size(), 12U) << sink;
  }
  const auto sample = with_every_key();
  for (const auto& [sink, rows] : tables) {
    const auto begin = sample.find("\nsink_type = \"" + sink + "\"\n");
    ASSERT_NE(begin, std::string::npos) << sink;
    const auto part = sample.substr(begin, sample.find("\n[", begin) - begin);
    for (const auto& [name, type, value, whole] : rows) {
      const auto& where = sinks_with[whole] == tables.size() ? sample : part;
      const bool is_example = value == "null" || value == "—" || name == "format";
      const auto line = "\n" + name + " = " + (is_example ? "" : type == "string" ? '"' + value + '"' : value);
      EXPECT_NE(where.find(line), std::string::npos) << "packaging/tide-relay.toml, " << sink << ", lacks" << line;
    }
  }
}

TEST(Documents, NameEveryCommand) {
  const auto help = relay({"--help"});
  ASSERT_EQ(help.exit_code, 0) << help.err;
  const auto text = read("docs/command-line.md");
  for (const auto* command : {"init", "accept-restore", "run", "check", "status", "plugins", "dead-letters"}) {
    EXPECT_NE(help.out.find(command), std::string::npos) << command;
    EXPECT_NE(text.find(std::string("## tide-relay ") + command), std::string::npos) << command;
  }
}

TEST(Documents, NameEveryKeyOfTheConfigurationFile) {
  const auto code = read("core/config/config_file.cpp");
  const auto text = read("docs/configuration.md");
  const std::regex key(R"(table\.(?:read|read_required|find)\("([a-z_]+)\")");
  std::size_t found = 0;
  for (std::sregex_iterator match(code.begin(), code.end(), key), none; match != none; ++match, ++found) {
    const std::string name = (*match)[1];
    EXPECT_NE(text.find("." + name + "`"), std::string::npos) << name << " is missing in docs/configuration.md";
  }
  EXPECT_GT(found, 10U);
}

TEST(Documents, ShowConfigurationsThatPassTheCheck) {
  for (const auto* file : {"README.md", "docs/configuration.md", "docs/routing.md", "docs/formats.md", "docs/jsonl.md",
                           "docs/kafka.md", "docs/rabbitmq.md", "docs/redis_streams.md", "docs/webhook.md"}) {
    const auto examples = blocks(file, "toml");
    EXPECT_FALSE(examples.empty()) << file;
    for (const auto& example : examples) {
      const TempDir dir;
      std::ofstream(dir / "tide-relay.toml") << example;
      const auto check = relay({"check", "--config", (dir / "tide-relay.toml").string()});
      EXPECT_EQ(check.exit_code, 0) << file << '\n' << example << check.out << check.err;
    }
  }
}

TEST(Documents, ShowSqlThatRuns) {
  PostgresServer postgres;
  for (const auto* file : {"README.md", "docs/nats.md", "docs/routing.md", "docs/formats.md"}) {
    const auto url = postgres.create_database();
    const auto init = relay({"init", "--postgres-url", url});
    ASSERT_EQ(init.exit_code, 0) << init.err;
    postgres.psql(url, "SELECT tide.outbox_create('orders'); CREATE TABLE orders (id text, state text)");
    const auto examples = blocks(file, "sql");
    EXPECT_FALSE(examples.empty()) << file;
    for (const auto& example : examples) EXPECT_NO_THROW(postgres.psql(url, example)) << file << '\n' << example;
  }
}

TEST(Documents, LinkOnlyToFilesThatExist) {
  const std::regex link(R"(\]\(([^)#]+)(#[^)]*)?\))");
  for (const auto& file : documents()) {
    const auto text = read(file);
    for (std::sregex_iterator match(text.begin(), text.end(), link), none; match != none; ++match) {
      const std::string target = (*match)[1];
      if (target.find("://") != std::string::npos) continue;
      EXPECT_TRUE(fs::exists((source() / file).parent_path() / target)) << file << " links to " << target;
    }
  }
}

}  // namespace
}  // namespace tide::test
