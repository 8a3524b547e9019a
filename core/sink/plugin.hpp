// A sink plugin that was loaded and found sound. Immutable; any thread. A plugin is never unloaded: libraries that it
// brings along leave threads and exit handlers behind.
#pragma once

#include <tide/sink.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "sink/options.hpp"

namespace tide {

struct Plugin {
  std::filesystem::path file;
  std::string id;
  std::vector<std::string> sink_types;
  std::string version;
  std::string description;
  OptionTable options;
  tide_ops ops{};
  std::vector<std::string> stray_exports;  // symbols beside the entry
  bool never_unloaded = false;

  [[nodiscard]] bool serves(std::string_view sink_type) const;
};

// Finds plugins in folders. Any thread.
class PluginLoader {
 public:
  // folders: searched in this order; the first that has a plugin for a sink type wins. What others than root and the
  // relay's own user could have put there is refused.
  explicit PluginLoader(std::vector<std::filesystem::path> folders);

  // The plugin for a sink type. Throws Error: none serves it (tells which files are there, and why one was refused).
  [[nodiscard]] std::shared_ptr<const Plugin> find(std::string_view sink_type) const;

  // All plugins that can be loaded; what is wrong with the others is added to problems.
  [[nodiscard]] std::vector<std::shared_ptr<const Plugin>> all(Problems& problems) const;

  [[nodiscard]] const std::vector<std::filesystem::path>& folders() const { return folders_; }

 private:
  std::vector<std::filesystem::path> folders_;
};

// Loads one file, wherever it lies. Throws Error that names the file, what is wrong with it, and the rule of
// docs/abi.md.
std::shared_ptr<const Plugin> load_plugin(const std::filesystem::path& file);

}  // namespace tide
