// A plugin that somebody else could have put there is not loaded, by `plugins list` as by every command.
#include <gtest/gtest.h>
#include <unistd.h>

#include "support/process.hpp"

namespace tide::test {
namespace {

namespace fs = std::filesystem;

class Trust : public testing::Test {
 protected:
  Trust() { fs::copy_file(variable("TIDE_WRONG_PLUGINS") + "/right.so", file_); }

  RunResult list() const {
    return run({variable("TIDE_RELAY"), "plugins", "list"}, {{"TIDE_RELAY_PLUGIN_PATH", dir_.path().string()}});
  }
  void expect_refused(const fs::path& path, const char* why) const {
    const auto result = list();
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.out.find("right"), std::string::npos) << result.out;
    EXPECT_NE(result.err.find(path.string() + " is not used: it " + why), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("chmod go-w " + path.string()), std::string::npos) << "what to do: " << result.err;
  }

  const TempDir dir_;
  const fs::path file_ = dir_ / "right.so";
};

TEST_F(Trust, APluginOfRootOrOfTheRelaysUserIsUsed) {
  const auto result = list();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("right 1.0.0"), std::string::npos) << result.out;
}

TEST_F(Trust, AFileThatOthersCanWriteIsRefused) {
  for (const auto who : {fs::perms::group_write, fs::perms::others_write}) {
    fs::permissions(file_, fs::perms::owner_all | who);
    expect_refused(file_, "can be written by others than its owner");
  }
}

TEST_F(Trust, AFolderThatOthersCanWriteIsRefused) {
  fs::permissions(dir_.path(), fs::perms::owner_all | fs::perms::others_all);
  expect_refused(dir_.path(), "can be written by others than its owner");
}

TEST_F(Trust, ALinkIsJudgedByTheFileAndFolderThatItLeadsTo) {
  const TempDir open;
  fs::rename(file_, open / "right.so");
  fs::create_symlink(open / "right.so", file_);
  EXPECT_EQ(list().exit_code, 0);
  fs::permissions(open.path(), fs::perms::owner_all | fs::perms::group_all);
  expect_refused(open.path(), "can be written by others than its owner");
}

TEST_F(Trust, AFileOfAnotherUserIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  ASSERT_EQ(::chown(file_.c_str(), 12345, 12345), 0);
  expect_refused(file_, "belongs to the user 12345, who is neither root nor the relay's user");
}

TEST_F(Trust, OnlyConfiguredFoldersAreLookedAt) {
  const TempDir empty;
  const auto result =
      run({variable("TIDE_RELAY"), "plugins", "list"},
          {{"TIDE_RELAY_PLUGIN_PATH", empty.path().string()}, {"LD_LIBRARY_PATH", dir_.path().string()}});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.out, "");
}

}  // namespace
}  // namespace tide::test
