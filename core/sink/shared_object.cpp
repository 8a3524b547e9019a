#include "sink/shared_object.hpp"

// The only file that includes Boost.DLL. std::filesystem keeps Boost.Filesystem out of the dependencies; <vector> is
// missing in Boost 1.74's own headers.
#include <vector>
#define BOOST_DLL_USE_STD_FS
#include <boost/dll/shared_library.hpp>

#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include <algorithm>
#include <array>
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
                "(): it is not a sink plugin, or was built for another ABI major (rule R1)");
  }
  return &kept.back().get<const tide_sink*()>(TIDE_SINK_ENTRY);
}

Linkage linkage_of(tide_sink_v1_fn entry) {
  Linkage linkage;
  Dl_info info{};
  link_map* map = nullptr;
  if (::dladdr1(reinterpret_cast<const void*>(entry), &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) == 0)
    return linkage;
  const ElfW(Sym)* symbols = nullptr;
  const char* names = nullptr;
  const std::uint32_t* hash = nullptr;
  for (const auto* row = map->l_ld; row->d_tag != DT_NULL; ++row) {
    if (row->d_tag == DT_SYMTAB) symbols = reinterpret_cast<const ElfW(Sym)*>(row->d_un.d_ptr);
    if (row->d_tag == DT_STRTAB) names = reinterpret_cast<const char*>(row->d_un.d_ptr);
    if (row->d_tag == DT_GNU_HASH) hash = reinterpret_cast<const std::uint32_t*>(row->d_un.d_ptr);
    if (row->d_tag == DT_FLAGS_1) linkage.never_unloaded = (row->d_un.d_val & DF_1_NODELETE) != 0;
  }
  if (symbols == nullptr || names == nullptr || hash == nullptr) return linkage;
  // The hash table lists what is defined: buckets, the number of its first symbol, words of the Bloom filter, its
  // shift; then the filter, the buckets, and a chain for each bucket, whose last entry has bit 0 set.
  const auto [buckets, first, words] = std::array{hash[0], hash[1], hash[2]};
  const auto* bucket = hash + 4 + words * (sizeof(ElfW(Addr)) / sizeof(std::uint32_t));
  const auto* chain = bucket + buckets;
  for (std::uint32_t b = 0; b < buckets; ++b) {
    for (auto at = bucket[b]; at >= first && at != 0; ++at) {
      if (symbols[at].st_shndx != SHN_UNDEF) linkage.exports.emplace_back(names + symbols[at].st_name);
      if ((chain[at - first] & 1U) != 0) break;
    }
  }
  std::sort(linkage.exports.begin(), linkage.exports.end());
  return linkage;
}

}  // namespace tide
