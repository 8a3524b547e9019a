#include "sink/plugin.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <map>
#include <mutex>

#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/log.hpp"
#include "sink/plugin_call.hpp"
#include "sink/shared_object.hpp"

namespace tide {

namespace {

namespace fs = std::filesystem;

// The frozen part of each struct: what the first minor of this major has. Fields appended later do not count.
constexpr std::uint32_t kFrozenSink = offsetof(tide_sink, get_extension) + sizeof(tide_sink::get_extension);
constexpr std::uint32_t kFrozenOps = offsetof(tide_ops, close) + sizeof(tide_ops::close);

constexpr std::uint64_t kKnownCapabilities = TIDE_CAP_DEDUPLICATES | TIDE_CAP_ORDERED;
constexpr std::uint64_t kMustUnderstand = 0xffffffff00000000ull;

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    const auto end = text.find(separator);
    if (!text.substr(0, end).empty()) parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

[[noreturn]] void refuse(const fs::path& file, const std::string& why) {
  throw Error("plugin " + file.string() + " is refused: " + why);
}

// Code that runs with the relay's rights: nobody else may be able to change the file, or put another in its place.
void check_rights(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throw Error("can not look at " + path.string() + ": " + std::strerror(errno));
  std::string fault;
  if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
    fault = "belongs to the user " + std::to_string(status.st_uid) + ", who is neither root nor the relay's user";
  } else if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    fault = "can be written by others than its owner";
  }
  if (fault.empty()) return;
  throw Error(path.string() + " is not used: it " + fault +
              ", and a plugin has all the relay's rights. Make it safe: chown root and chmod go-w " + path.string());
}

// Fills in a plugin that has its file, from its descriptor.
void check(Plugin& plugin, const tide_sink* theirs) {
  const auto& file = plugin.file;
  if (theirs == nullptr) refuse(file, std::string(TIDE_SINK_ENTRY) + "() returned NULL (rule R1)");
  if (theirs->struct_size < kFrozenSink) {
    refuse(file, "its descriptor has " + std::to_string(theirs->struct_size) + " bytes, ABI major " +
                     std::to_string(TIDE_SINK_ABI_MAJOR) + " has at least " + std::to_string(kFrozenSink) +
                     " (rule R4)");
  }
  if (theirs->abi_major != TIDE_SINK_ABI_MAJOR) {
    refuse(file, "it was built for sink ABI " + std::to_string(theirs->abi_major) + "." +
                     std::to_string(theirs->abi_minor) + ", this relay has " + std::to_string(TIDE_SINK_ABI_MAJOR) +
                     "." + std::to_string(TIDE_SINK_ABI_MINOR) + "; install the plugin's build for it (rule R4)");
  }
  if (const auto unknown = theirs->capabilities & kMustUnderstand & ~kKnownCapabilities; unknown != 0) {
    refuse(file, "it needs a capability that this relay does not know; upgrade the relay (rule R6)");
  }
  for (const auto& [name, text] : {std::pair{"id", theirs->id},
                                   {"sink_types", theirs->sink_types},
                                   {"version", theirs->version},
                                   {"description", theirs->description}}) {
    if (text == nullptr || *text == '\0') refuse(file, std::string("its ") + name + " is empty (rule R4)");
  }
  const auto* ops = theirs->ops;
  if (ops == nullptr || ops->struct_size < kFrozenOps || ops->connect == nullptr || ops->publish == nullptr ||
      ops->ack == nullptr || ops->close == nullptr) {
    refuse(file, "it lacks one of the operations connect, publish, ack and close (rule R4)");
  }
  plugin.id = theirs->id;
  plugin.sink_types = split(theirs->sink_types, '|');
  plugin.version = theirs->version;
  plugin.description = theirs->description;
  std::memcpy(&plugin.ops, ops, std::min<std::size_t>(ops->struct_size, sizeof plugin.ops));
  try {
    plugin.options = copy_options(theirs->options, theirs->option_count, theirs->option_size);
  } catch (const Error& e) {
    refuse(file, e.what() + std::string(" (rule R5)"));
  }
}

std::shared_ptr<const Plugin> load(const fs::path& file) {
  auto plugin = std::make_shared<Plugin>();
  plugin->file = file;
  plugin->id = file.stem();
  static const std::string none;
  const PluginCall call(*plugin, TIDE_SINK_ENTRY, none, std::chrono::seconds(10));
  const auto entry = load_entry(file);
  check(*plugin, entry());
  const auto linkage = linkage_of(entry);
  plugin->never_unloaded = linkage.never_unloaded;
  for (const auto& symbol : linkage.exports) {
    if (symbol != TIDE_SINK_ENTRY) plugin->stray_exports.push_back(symbol);
  }
  if (!plugin->stray_exports.empty()) {
    spdlog::warn(
        "plugin {} exports {} symbols beside {}, such as {}, and may mix with what others load; its maker links "
        "it with a version script (rule R2)",
        file.string(), plugin->stray_exports.size(), TIDE_SINK_ENTRY, plugin->stray_exports.front());
  }
  spdlog::info("plugin {} {} is loaded from {}{}", plugin->id, plugin->version, file.string(),
               linkage.package.empty() ? "" : " (package " + linkage.package + ')');
  return plugin;
}

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code ignored;  // a folder that is not there has no plugins
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == ".so" && entry.is_regular_file(ignored)) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

bool Plugin::serves(std::string_view sink_type) const {
  return std::find(sink_types.begin(), sink_types.end(), sink_type) != sink_types.end();
}

std::shared_ptr<const Plugin> load_plugin(const fs::path& file) {
  // One plugin per file and process, however many pipelines use it.
  static std::mutex mutex;
  static std::map<fs::path, std::shared_ptr<const Plugin>> loaded;
  const std::lock_guard lock(mutex);
  std::error_code error;
  const auto path = fs::canonical(file, error);
  if (error) throw Error("plugin " + file.string() + " can not be loaded: " + error.message());
  auto& plugin = loaded[path];
  if (!plugin) {
    try {
      plugin = load(path);
    } catch (...) {
      loaded.erase(path);
      throw;
    }
  }
  return plugin;
}

PluginLoader::PluginLoader(std::vector<fs::path> folders) : folders_(std::move(folders)) {}

std::vector<std::shared_ptr<const Plugin>> PluginLoader::all(Problems& problems) const {
  std::vector<std::shared_ptr<const Plugin>> plugins;
  for (const auto& folder : folders_) {
    const auto files = files_in(folder);
    try {
      if (!files.empty()) check_rights(folder);
    } catch (const Error& e) {
      problems.push_back({"", e.what()});
      continue;
    }
    for (const auto& file : files) {
      try {
        const auto real = fs::canonical(file);  // of a link, the file and its folder
        check_rights(real);
        check_rights(real.parent_path());
        plugins.push_back(load_plugin(real));
      } catch (const std::exception& e) {
        problems.push_back({"", e.what()});
      }
    }
  }
  return plugins;
}

std::shared_ptr<const Plugin> PluginLoader::find(std::string_view sink_type) const {
  Problems problems;
  std::string served;
  for (const auto& plugin : all(problems)) {
    if (plugin->serves(sink_type)) return plugin;
    for (const auto& type : plugin->sink_types) served += (served.empty() ? "" : ", ") + type;
  }
  std::string text = "no plugin serves sink_type \"" + std::string(sink_type) + "\"";
  text += served.empty() ? "; no plugin was found in" : "; found are " + served + ", in";
  for (const auto& folder : folders_) text += " " + folder.string();
  for (const auto& problem : problems) text += "; " + problem.text;
  text += ". Install the sink's package, or name its folder in TIDE_RELAY_PLUGIN_PATH";
  throw Error(text);
}

}  // namespace tide
