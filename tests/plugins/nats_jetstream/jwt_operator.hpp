// A JWT operator with accounts and users, made by NATS's own JavaScript library (see js/operator.js). One thread.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/process.hpp"

namespace tide::test {

class JwtOperator {
 public:
  JwtOperator() {
    if (!std::filesystem::exists(folder() / "node_modules"))
      throw std::runtime_error("the npm packages of these tests are missing: run tests/run, or `npm ci` in " +
                               folder().string());
    make({});
  }

  // Adds short.creds, of a user that expires after so many seconds.
  void make_short_lived(int seconds) const { make({std::to_string(seconds)}); }

  std::string file(std::string_view name) const { return (dir_ / name).string(); }

  // For a server's configuration file; the second has revoked the user of relay.creds.
  std::string server_config() const { return read("server.conf"); }
  std::string revoked_config() const { return read("revoked.conf"); }

 private:
  static std::filesystem::path folder() { return variable("TIDE_TEST_JS"); }
  void make(const std::vector<std::string>& arguments) const {
    std::vector<std::string> command{"node", (folder() / "operator.js").string(), dir_.path().string()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const auto made = run(command);
    if (made.exit_code != 0) throw std::runtime_error("operator.js failed: " + made.err);
  }
  std::string read(std::string_view name) const {
    std::ifstream in(dir_ / name);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  TempDir dir_{"tide-test-jwt"};
};

}  // namespace tide::test
