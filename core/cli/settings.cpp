#include <algorithm>
#include <cstdlib>
#include <system_error>

#include "base/connection_options.hpp"
#include "base/error.hpp"
#include "cli/commands.hpp"

namespace tide::cli {

namespace fs = std::filesystem;

FileConfig load(const Options& options) {
  if (!options.config_file.empty()) return load_config(options.config_file);
  const fs::path file = kDefaultConfig;
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(file.parent_path() / "conf.d", error)) {
    if (entry.path().extension() == ".toml") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  if (fs::exists(file, error)) paths.insert(paths.begin(), file);
  return load_config(paths);
}

namespace {

const std::string& checked(const std::string& url, const char* where) {
  try {
    const pg::ConnectionOptions options(url);
  } catch (const Error& e) {
    throw ConfigError(Problems{{where, e.what()}});
  }
  return url;
}

}  // namespace

std::string postgres_url(const Options& options, const FileConfig& config) {
  if (!options.postgres_url.empty()) return checked(options.postgres_url, "--postgres-url");
  if (!config.postgres.url.empty()) return checked(config.postgres.url, "postgres.url");
  throw ConfigError(
      {{"", std::string("no PostgreSQL was named: give --postgres-url postgresql://user@host/database, or "
                        "set url under [postgres] in ") +
                (options.config_file.empty() ? kDefaultConfig : options.config_file)}});
}

std::string postgres_url(const Options& options) {
  return postgres_url(options, options.postgres_url.empty() ? load(options) : FileConfig());
}

std::vector<fs::path> plugin_folders(const FileConfig& config) {
  std::vector<fs::path> folders;
  if (const char* path = std::getenv("TIDE_RELAY_PLUGIN_PATH"); path != nullptr && *path != '\0') {
    std::string_view rest = path;
    while (true) {
      const auto end = rest.find(':');
      if (!rest.substr(0, end).empty()) folders.emplace_back(rest.substr(0, end));
      if (end == std::string_view::npos) return folders;
      rest.remove_prefix(end + 1);
    }
  }
  for (const auto& path : config.plugins.path) folders.emplace_back(path);
  folders.push_back(beside_program(TIDE_SINK_DIR));
  return folders;
}

fs::path beside_program(const char* installed) {
  std::error_code error;
  const auto program = fs::read_symlink("/proc/self/exe", error);
  return (program.parent_path() / fs::path(installed).lexically_relative(TIDE_BIN_DIR)).lexically_normal();
}

}  // namespace tide::cli
