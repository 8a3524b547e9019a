// Opens a plugin's file. Any thread.
#pragma once

#include <tide/sink.h>

#include <filesystem>
#include <string>
#include <vector>

namespace tide {

// The plugin's one function; the file stays loaded for the life of the process. Throws Error.
tide_sink_v1_fn load_entry(const std::filesystem::path& file);

// How a loaded file was linked.
struct Linkage {
  std::vector<std::string> exports;  // every symbol that it defines for others
  bool never_unloaded = false;       // -z nodelete
  std::string package;               // its name and version, where the file says that it belongs to one
};
Linkage linkage_of(tide_sink_v1_fn entry);

}  // namespace tide
