// The man pages: one for the program, its configuration, plugins, and each sink; man(1) finds no fault with them.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "support/process.hpp"

namespace tide::test {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> pages() {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(fs::path(variable("TIDE_BUILD_ROOT")) / "packaging")) {
    const auto extension = entry.path().extension();
    if (extension == ".1" || extension == ".5" || extension == ".7") found.push_back(entry.path());
  }
  return found;
}

TEST(ManPages, ExistForAllThatIsInstalled) {
  std::size_t sinks = 0;
  std::istringstream list(variable("TIDE_RELAY_PLUGIN_PATH"));
  for (std::string folder; std::getline(list, folder, ':'); ++sinks) {
    auto name = fs::path(folder).filename().string();
    for (auto& c : name) c = c == '_' ? '-' : c;
    EXPECT_TRUE(fs::exists(fs::path(variable("TIDE_BUILD_ROOT")) / "packaging" / ("tide-relay-" + name + ".7")))
        << name << ": add it to packaging/sinks";
  }
  EXPECT_GE(sinks, 1U);
  EXPECT_EQ(pages().size(), 3 + sinks);
}

TEST(ManPages, AreFormattedWithoutAWarning) {
  if (run({"bash", "-c", "command -v man"}).exit_code != 0) GTEST_SKIP() << "man is not installed";
  for (const auto& page : pages()) {
    const auto shown = run(
        {"man", "--warnings", "--encoding=UTF-8", "--local-file", "--troff-device=utf8", "--ditroff", page.string()},
        {{"MANROFFSEQ", ""}, {"MANWIDTH", "80"}, {"LC_ALL", "C.UTF-8"}});
    EXPECT_EQ(shown.exit_code, 0) << page;
    EXPECT_EQ(shown.err, "") << page;
    EXPECT_GT(shown.out.size(), 2000U) << page;
  }
}

}  // namespace
}  // namespace tide::test
