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
#include <cstring>
#include <memory>
#include <mutex>
#include <string_view>

#include "base/error.hpp"
#include "base/value.hpp"

namespace tide {

namespace {

// The JSON of the note "package metadata" in a segment of notes, as https://systemd.io/ELF_PACKAGE_METADATA has it;
// empty where there is none.
std::string_view package_note(std::string_view segment, std::size_t alignment) {
  constexpr std::uint32_t kPackageMetadata = 0xcafe1a7e;
  const auto aligned = [&](std::size_t size) { return (size + alignment - 1) / alignment * alignment; };
  ElfW(Nhdr) note;
  while (segment.size() >= sizeof note) {
    std::memcpy(&note, segment.data(), sizeof note);
    const auto text = aligned(sizeof note + note.n_namesz);
    if (text + note.n_descsz > segment.size()) return {};
    if (note.n_type == kPackageMetadata && segment.substr(sizeof note, 4) == std::string_view("FDO", 4))
      return segment.substr(text, note.n_descsz);
    segment.remove_prefix(std::min(aligned(text + note.n_descsz), segment.size()));
  }
  return {};
}

std::string package_of(const link_map& map) {
  struct Search {
    ElfW(Addr) object;
    std::string_view json;
  } search{map.l_addr, {}};
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t /*size*/, void* data) {
        auto& [object, json] = *static_cast<Search*>(data);
        if (info->dlpi_addr != object) return 0;
        for (auto* segment = info->dlpi_phdr; segment != info->dlpi_phdr + info->dlpi_phnum; ++segment) {
          if (segment->p_type != PT_NOTE || !json.empty()) continue;
          json = package_note({reinterpret_cast<const char*>(object + segment->p_vaddr), segment->p_memsz},
                              std::max<std::size_t>(segment->p_align, 4));
        }
        return 1;
      },
      &search);
  while (search.json.ends_with('\0')) search.json.remove_suffix(1);
  std::string package;
  try {
    const auto metadata = search.json.empty() ? Value() : parse_json(search.json);
    for (const auto* key : {"name", "version"}) {
      const auto* value = metadata.find(key);
      const auto* text = value == nullptr ? nullptr : value->get<std::string>();
      if (text != nullptr) package += (package.empty() ? "" : " ") + printable(*text, 200);
    }
  } catch (const Error&) {  // no reason to refuse a plugin
  }
  return package;
}

}  // namespace

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
  linkage.package = package_of(*map);
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
