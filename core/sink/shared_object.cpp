#include "sink/shared_object.hpp"

// The only file that includes Boost.DLL. std::filesystem keeps Boost.Filesystem out of the dependencies; <vector> is
// missing in Boost 1.74's own headers.
#include <vector>
#define BOOST_DLL_USE_STD_FS
#include <boost/dll/shared_library.hpp>

#include <memory>
#include <mutex>

#include "base/error.hpp"

namespace tide {

tide_sink_v1_fn load_entry(const std::filesystem::path& file) {
  namespace dll = boost::dll;
  // Kept for ever: unloading a library that has threads or exit handlers crashes.
  static std::mutex mutex;
  static auto& kept = *new std::vector<dll::shared_library>();
  try {
    // The throwing overload tells the loader's own words; the other one only an error number.
    dll::shared_library library(file, dll::load_mode::rtld_now | dll::load_mode::rtld_local);
    const std::lock_guard lock(mutex);
    kept.push_back(std::move(library));
  } catch (const std::exception& e) {
    throw Error("plugin " + file.string() + " can not be loaded: " + e.what());
  }
  const std::lock_guard lock(mutex);
  if (!kept.back().has(TIDE_SINK_ENTRY)) {
    throw Error("plugin " + file.string() +
                " is refused: it has no function " TIDE_SINK_ENTRY
                "(): it is not a sink plugin, or was built for another ABI major");
  }
  return &kept.back().get<const tide_sink*()>(TIDE_SINK_ENTRY);
}

}  // namespace tide
