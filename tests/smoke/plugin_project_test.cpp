// Somebody writes a plugin with an installed SDK and nothing else, in an empty folder; the guide's commands run.
#include <gtest/gtest.h>

#include <sys/statvfs.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "support/servers.hpp"

namespace tide::test {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& file) {
  const std::ifstream in(file);
  EXPECT_TRUE(in.is_open()) << file;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

struct Project {
  const char* language;
  const char* build_system;
  const char* build;
  const char* install;
  const char* option;  // of its sink, that names `there`
};

void PrintTo(const Project& project, std::ostream* out) {
  *out << project.language << " with " << project.build_system;
}

class PluginProject : public testing::TestWithParam<Project> {
 protected:
  PluginProject() : url_(postgres_->create_database()) {
    const auto installed = run({"meson", "install", "-C", variable("TIDE_BUILD_ROOT"), "--no-rebuild", "--destdir",
                                (dir_ / "installed").string()});
    EXPECT_EQ(installed.exit_code, 0) << installed.out << installed.err;
    fs::create_directory(dir_ / "empty");
    for (const auto& entry : fs::recursive_directory_iterator(dir_ / "installed")) {
      if (entry.path().filename() == "tide-relay" && entry.path().parent_path().filename() == "bin")
        bin_ = entry.path().parent_path();
      if (entry.path().extension() == ".pc") pkg_config_ = entry.path().parent_path();
    }
  }
  static void SetUpTestSuite() {
    // The C++ example syncs its whole file system, which on a disk waits for all that other tests have written.
    const std::string memory = "/dev/shm";
    std::error_code none;
    struct statvfs about {};
    const bool runs_programs = ::statvfs(memory.c_str(), &about) == 0 && (about.f_flag & ST_NOEXEC) == 0;
    if (runs_programs && fs::space(memory, none).available > (std::uintmax_t{1} << 30) && !none)
      ::setenv("TMPDIR", memory.c_str(), 1);
    postgres_ = std::make_unique<PostgresServer>();
  }
  static void TearDownTestSuite() { postgres_.reset(); }

  // In the empty folder.
  RunResult shell(const std::string& script) const {
    return run({"bash", "-c", "set -euo pipefail; cd " + (dir_ / "empty").string() + "\n" + script},
               {{"PATH", bin_.string() + ":" + variable("PATH")},
                {"PKG_CONFIG_PATH", pkg_config_.string()},
                {"TIDE_RELAY_PLUGIN_PATH", std::nullopt},
                {"DATABASE_URL", url_}});
  }

  inline static std::unique_ptr<PostgresServer> postgres_;
  const TempDir dir_;
  const std::string url_;
  fs::path bin_;
  fs::path pkg_config_;
};

TEST_P(PluginProject, BuildsPassesTheKitIsInstalledAndDelivers) {
  const auto& project = GetParam();
  const auto there = dir_ / "there";
  const bool folder = std::string(project.option) == "folder";
  if (folder) fs::create_directory(there);
  const auto sink = R"({"sink_type": "my_sink", ")" + std::string(project.option) + R"(": ")" + there.string() + "\"}";
  // Of one source the kit says the same, whoever builds it: it publishes once for each language.
  const bool publish = std::string(project.build_system) == "meson";
  const auto made = shell(std::string("tide-relay plugins new my_sink --language ") + project.language + " --build " +
                          project.build_system + "\ncd my_sink\n" + project.build + "\necho '" + sink +
                          "' > my_sink.json\ntide-relay plugins test build/my_sink.so" +
                          (publish ? " --sink-config my_sink.json\nrm -r " + there.string() : "") +
                          (publish && folder ? "; mkdir " + there.string() : "") + "\n" + project.install);
  ASSERT_EQ(made.exit_code, 0) << made.out << made.err;
  EXPECT_NE(made.out.find(publish ? "13 passed, 0 failed, 2 skipped" : "2 passed, 0 failed, 13 skipped"),
            std::string::npos)
      << made.out;

  const auto delivered = shell(
      "tide-relay init --postgres-url $DATABASE_URL\n"
      "psql -v ON_ERROR_STOP=1 $DATABASE_URL <<'END'\n"
      "SELECT tide.outbox_create('orders');\n"
      "SELECT tide.relay_set_outbox('p', 'orders', 'g', '" +
      sink +
      "');\n"
      "SELECT tide.relay_enable('p');\n"
      "SELECT tide.outbox_publish('orders', jsonb_build_object('n', n)) FROM generate_series(1, 500) n;\n"
      "END\n"
      "echo '[catalog]' > relay.toml; echo 'data_dir = \"" +
      dir_.path().string() +
      "\"' >> relay.toml\n"
      "tide-relay run --once --config relay.toml --postgres-url $DATABASE_URL");
  ASSERT_EQ(delivered.exit_code, 0) << delivered.out << delivered.err;
  std::string expected;
  std::string found = folder ? "" : read(there);
  std::size_t files = 0;
  for (int n = 1; n <= 500; ++n) expected += "{\"n\": " + std::to_string(n) + "}\n";
  if (folder) {
    for (const auto& entry : fs::directory_iterator(there)) files += entry.path().extension() == ".json" ? 1 : 0;
    EXPECT_EQ(files, 500U);
    for (int n = 1; n <= 500; ++n) found += read(there / ("orders-" + std::to_string(n) + ".json")) + '\n';
  }
  EXPECT_EQ(found, expected);
}

INSTANTIATE_TEST_SUITE_P(
    Each, PluginProject,
    testing::Values(Project{"c++", "meson", "meson setup --werror build && meson compile -C build",
                            "meson install -C build", "folder"},
                    Project{"c", "meson", "meson setup --werror build && meson compile -C build",
                            "meson install -C build", "path"},
                    Project{"c++", "cmake", "cmake -B build && cmake --build build", "cmake --install build", "folder"},
                    Project{"c", "cmake", "cmake -B build && cmake --build build", "cmake --install build", "path"}),
    [](const auto& project) {
      return std::string(project.param.build_system) + (std::string(project.param.language) == "c" ? "_c" : "_cpp");
    });

class PluginGuide : public PluginProject {};
INSTANTIATE_TEST_SUITE_P(All, PluginGuide, testing::Values(Project{}));

TEST_P(PluginGuide, LeadsFromNothingToAPackage) {
  const auto guide = read(fs::path(variable("TIDE_SOURCE_ROOT")) / "docs/plugin-guide.md");
  std::string commands;
  const std::string begin = "```sh\n";
  for (std::size_t at = 0; (at = guide.find(begin, at)) != std::string::npos;) {
    at += begin.size();
    commands += guide.substr(at, guide.find("```", at) - at);
  }
  const auto result = shell(commands);
  ASSERT_EQ(result.exit_code, 0) << result.out << result.err;
  for (const auto* text : {"13 passed, 0 failed", "| folder | string | — |", R"({"order_id": "ord-555"})",
                           "/tide-relay/sinks-1/orders_file.so\n", "orders_lines 0.1.0"})
    EXPECT_NE(result.out.find(text), std::string::npos) << text << " is missing in\n" << result.out;
}

TEST_P(PluginGuide, RefusesANameOrAFolderThatWillNotDo) {
  for (const auto* command :
       {"tide-relay plugins new My-Sink", "tide-relay plugins new 1st", "tide-relay plugins new ../x",
        "mkdir full; touch full/file; tide-relay plugins new full", "tide-relay plugins new a --build make"}) {
    const auto result = shell(command);
    EXPECT_EQ(result.exit_code, 2) << command << result.out << result.err;
  }
}

}  // namespace
}  // namespace tide::test
