// An installed tree runs from wherever it lies, and finds its own plugins.
#include <gtest/gtest.h>

#include "support/process.hpp"

namespace tide::test {
namespace {

namespace fs = std::filesystem;

TEST(InstalledTree, FindsItsOwnPluginsWhereverItLies) {
  const TempDir tree;
  const auto installed = run(
      {"meson", "install", "-C", variable("TIDE_BUILD_ROOT"), "--no-rebuild", "--destdir", (tree / "first").string()});
  ASSERT_EQ(installed.exit_code, 0) << installed.out << installed.err;
  fs::rename(tree / "first", tree / "moved");

  fs::path program;
  fs::path header;
  for (const auto& entry : fs::recursive_directory_iterator(tree / "moved")) {
    if (entry.path().filename() == "tide-relay" && entry.is_regular_file()) program = entry.path();
    if (entry.path().filename() == "sink.h") header = entry.path();
  }
  ASSERT_FALSE(program.empty());
  EXPECT_FALSE(header.empty());
  const auto plugins = run({program.string(), "plugins", "list"}, {{"TIDE_RELAY_PLUGIN_PATH", std::nullopt}});
  EXPECT_EQ(plugins.exit_code, 0) << plugins.err;
  EXPECT_NE(plugins.out.find("nats"), std::string::npos) << plugins.out << plugins.err;
  EXPECT_NE((plugins.out + plugins.err).find((tree / "moved").string()), std::string::npos)
      << "the plugin came from elsewhere: " << plugins.out;
}

}  // namespace
}  // namespace tide::test
