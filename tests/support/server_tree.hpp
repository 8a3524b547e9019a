// A PostgreSQL with an extension of ours among its own: a copy of the server's tree, which finds itself wherever it
// lies. One thread.
#pragma once

#include <filesystem>
#include <string>

#include "support/servers.hpp"

namespace tide::test {

// Makes the tree, with the extension's files in it; returns the folder of its programs, for TIDE_TEST_PG_BIN.
inline std::filesystem::path server_tree(const std::filesystem::path& tree, const std::filesystem::path& extension) {
  namespace fs = std::filesystem;
  const auto home = postgres_bin().parent_path();
  fs::path copy = tree;
  std::string script = "set -e\n";
  if (home.parent_path() == "/usr/lib/postgresql") {  // Debian's: what all machines share lies apart
    const auto version = home.filename().string();
    copy = tree / "lib/postgresql" / version;
    script += "mkdir -p " + copy.string() + " " + (tree / "share/postgresql").string() + "\n" +
              "cp -as /usr/share/postgresql/" + version + " " + (tree / "share/postgresql").string() + "\n";
  }
  // The server looks for its own program's place: that must not be a link.
  script += "mkdir -p " + copy.string() + "\ncp -as " + home.string() + "/. " + copy.string() + "\nrm -r " +
            copy.string() + "/bin\ncp -aL " + home.string() + "/bin " + copy.string() + "/bin\ncp " +
            extension.string() + "/tide.control " + extension.string() + "/tide--*.sql \"$(find " + tree.string() +
            " -type d -path '*share*/extension')\"\nchmod -R a+rX " + tree.string() + "\n";
  const auto made = run({"bash", "-c", script});
  if (made.exit_code != 0) throw std::runtime_error("no copy of PostgreSQL could be made:\n" + made.err);
  return copy / "bin";
}

}  // namespace tide::test
