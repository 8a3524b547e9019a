// Completion knows every command and every option that the program's help tells.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "support/process.hpp"

namespace tide::test {
namespace {

namespace fs = std::filesystem;

fs::path file(const std::string& name) {
  return fs::path(variable("TIDE_SOURCE_ROOT")) / "packaging/completion" / name;
}

std::set<std::string> found(const std::string& text, const char* pattern) {
  std::set<std::string> words;
  const std::regex regex(pattern);
  for (std::sregex_iterator match(text.begin(), text.end(), regex), none; match != none; ++match)
    words.insert((*match)[1]);
  return words;
}

// What may follow each command: options and further commands, as its help has them.
void ask(const std::string& command, std::map<std::string, std::set<std::string>>& out) {
  std::istringstream words(command);
  std::vector<std::string> argv{(fs::path(variable("TIDE_BUILD_ROOT")) / "core/tide-relay").string()};
  for (std::string word; words >> word;) argv.push_back(word);
  argv.emplace_back("--help");
  const auto help = run(argv);
  ASSERT_EQ(help.exit_code, 0) << command << help.err;
  out[command] = found(help.out, R"((?:^|\n) *(?:-\w,)?(--[a-z-]+))");
  const auto at = help.out.find("Subcommands:\n");
  if (at == std::string::npos) return;
  const auto list = help.out.substr(at, help.out.find("\n\n", at) - at);
  for (const auto& sub : found(list, R"(\n  ([a-z-]+) )")) {
    out[command].insert(sub);
    ask(command.empty() ? sub : command + ' ' + sub, out);
  }
}

std::map<std::string, std::set<std::string>> commands() {
  std::map<std::string, std::set<std::string>> all;
  ask("", all);
  EXPECT_GE(all.size(), 14U);
  EXPECT_TRUE(all["run"].contains("--once") && all[""].contains("init"));
  return all;
}

bool installed(const std::string& shell) {
  return run({"bash", "-c", "command -v " + shell}).exit_code == 0;
}

TEST(Completion, OfBashOffersAll) {
  for (const auto& [command, words] : commands()) {
    for (const auto& word : words) {
      const auto offered =
          run({"bash", "-c",
               "source \"$1\"; COMP_WORDS=(tide-relay $2 \"$3\"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _tide_relay; "
               "printf '%s\\n' \"${COMPREPLY[@]}\"",
               "bash", file("tide-relay.bash").string(), command, word});
      EXPECT_NE(("\n" + offered.out).find("\n" + word + "\n"), std::string::npos)
          << "tide-relay " << command << ' ' << word << '\n'
          << offered.out << offered.err;
    }
  }
}

TEST(Completion, OfFishOffersAll) {
  if (!installed("fish")) GTEST_SKIP() << "fish is not installed";
  const TempDir home;
  for (const auto& [command, words] : commands()) {
    const auto offered = run({"fish", "-c",
                              "source " + file("tide-relay.fish").string() + "\ncomplete -C 'tide-relay " + command +
                                  (command.empty() ? "" : " ") + "'\ncomplete -C 'tide-relay " + command +
                                  (command.empty() ? "" : " ") + "--'"},
                             {{"HOME", home.path().string()}});
    for (const auto& word : words) {
      EXPECT_NE(("\n" + offered.out).find("\n" + word + "\t"), std::string::npos)
          << "tide-relay " << command << ' ' << word << '\n'
          << offered.out << offered.err;
    }
  }
}

// zsh completes in a terminal only: its file is read, and searched.
TEST(Completion, OfZshNamesAll) {
  const std::ifstream in(file("_tide-relay"));
  std::ostringstream text;
  text << in.rdbuf();
  for (const auto& [command, words] : commands()) {
    for (const auto& word : words) {
      const std::regex named("['*]" + word + (word.starts_with("--") ? "\\[" : ":") + "|\\)" + word + "\\[|\"" + word +
                             ":");
      EXPECT_TRUE(std::regex_search(text.str(), named)) << "tide-relay " << command << ' ' << word;
    }
  }
  if (!installed("zsh")) GTEST_SKIP() << "zsh is not installed";
  const auto checked = run({"zsh", "-n", file("_tide-relay").string()});
  EXPECT_EQ(checked.exit_code, 0) << checked.err;
}

}  // namespace
}  // namespace tide::test
