// Opens a plugin's file. Any thread.
#pragma once

#include <tide/sink.h>

#include <filesystem>

namespace tide {

// The plugin's one function; the file stays loaded for the life of the process. Throws Error.
tide_sink_v1_fn load_entry(const std::filesystem::path& file);

}  // namespace tide
