#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>

#include "base/error.hpp"
#include "cli/commands.hpp"

namespace tide::cli {

namespace {

namespace fs = std::filesystem;

using Words = std::map<std::string, std::string>;

[[noreturn]] void refuse(const std::string& why) {
  throw ConfigError({{"", why}});
}

fs::path templates() {
  std::error_code error;
  const auto program = fs::read_symlink("/proc/self/exe", error).parent_path();
  const auto installed = beside_program(TIDE_TEMPLATE_DIR);
  const auto built = program.parent_path() / "sdk";  // of a program that is not installed
  for (const auto& folder : {installed, built}) {
    if (fs::exists(folder / "exports.map", error)) return folder;
  }
  throw Error("the templates of a plugin are not in " + installed.string() +
              "; install Tide Relay's SDK (Debian's package tide-relay-dev)");
}

std::string with(std::string text, const Words& words) {
  for (const auto& [word, replacement] : words) {
    for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += replacement.size())
      text.replace(at, word.size(), replacement);
  }
  return text;
}

void copy_file(const fs::path& from, const fs::path& to, const Words& words) {
  std::ifstream in(from);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  std::ofstream out(to);
  out << with(text, words) << std::flush;
  if (!in || !out) throw Error("can not copy " + from.string() + " to " + to.string());
}

}  // namespace

int new_plugin(const Options& options) {
  const auto& name = options.plugin;
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  if (name.empty() || name.front() < 'a' || name.front() > 'z' || !std::all_of(name.begin(), name.end(), is_letter))
    refuse("a plugin's name is lower_case: letters, digits and '_', beginning with a letter; not \"" + name + '"');
  const bool cpp = options.language == "c++";
  const bool meson = options.build_system == "meson";
  const std::string example = cpp ? "file_each" : "file_lines";
  const std::string source = name + (cpp ? ".cpp" : ".c");

  const auto from = templates();
  const fs::path folder = options.folder.empty() ? fs::path(name) : fs::path(options.folder);
  std::error_code error;
  if (fs::exists(folder, error) && !fs::is_empty(folder, error))
    refuse(folder.string() + " is there already and not empty; name another with --dir");
  fs::create_directories(folder);

  Words words{{example, name}};
  words["@NAME@"] = name;
  words["@SOURCE@"] = source;
  words["@LANGUAGE@"] = meson ? (cpp ? "cpp" : "c") : (cpp ? "CXX" : "C");
  words["@BUILD@"] = meson ? "meson setup build && meson compile -C build" : "cmake -B build && cmake --build build";
  words["@INSTALL@"] = meson ? "meson install -C build" : "cmake --install build";
  const std::string build_file = meson ? "meson.build" : "CMakeLists.txt";
  copy_file(from / (example + (cpp ? ".cpp" : ".c")), folder / source, words);
  copy_file(from / (example + ".json"), folder / (name + ".json"), words);
  for (const auto& file : {build_file, std::string("exports.map"), std::string("README.md")})
    copy_file(from / file, folder / file, words);
  std::cout << "A sink plugin in " << folder.string() << ". Next:\n  cd " << folder.string() << "\n  "
            << words["@BUILD@"] << "\n  tide-relay plugins test build/" << name << ".so\n";
  return kDone;
}

}  // namespace tide::cli
