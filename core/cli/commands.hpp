// The program's commands, each from its options to its exit code. One thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "config/config_file.hpp"

namespace tide::cli {

// Exit codes.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;  // while running
inline constexpr int kUsage = 2;   // usage or configuration

inline constexpr const char* kDefaultConfig = "/etc/tide-relay/tide-relay.toml";

// What every command may be given.
struct Options {
  std::string config_file;   // empty: the default one, if it is there
  std::string postgres_url;  // empty: the file's
  bool once = false;
  bool connect = false;
  bool take_over = false;
  bool json = false;
  std::string plugin;       // a plugin's id, a sink type or a file
  std::string sink_config;  // a file, for a plugin's test
  std::string check;        // the only one to run
  // Of a new plugin.
  std::string language = "c++";        // or "c"
  std::string build_system = "meson";  // or "cmake"
  std::string folder;                  // empty: named like the plugin
  // Which dead letters: a pipeline's, those with these ids, or all.
  std::string pipeline;
  std::vector<std::int64_t> letters;
  bool all = false;
};

int init(const Options& options);
int accept_restore(const Options& options);
int run(const Options& options);
int check(const Options& options);
int status(const Options& options);
int list_plugins(const Options& options);
int plugin_info(const Options& options);
int new_plugin(const Options& options);
int test_plugin(const Options& options);
int list_dead_letters(const Options& options);
int retry_dead_letters(const Options& options);
int discard_dead_letters(const Options& options);

// Shared by them.
FileConfig load(const Options& options);                                     // throws ConfigError
std::string postgres_url(const Options& options, const FileConfig& config);  // throws ConfigError
std::string postgres_url(const Options& options);  // reads the file only for that, where no option names it
std::vector<std::filesystem::path> plugin_folders(const FileConfig& config);
// A folder of the installed tree, wherever that was installed to. installed: as meson told it, from its prefix on.
std::filesystem::path beside_program(const char* installed);

}  // namespace tide::cli
