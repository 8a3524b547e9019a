// A JWT operator with accounts and users, made by NATS's own JavaScript library (see js/operator.js). One thread.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "support/process.hpp"

namespace tide::test {

class JwtOperator {
 public:
  // short_life_s: after so many seconds the user of short.creds expires.
  explicit JwtOperator(int short_life_s = 3600) {
    const std::filesystem::path js = variable("TIDE_TEST_JS");
    if (!std::filesystem::exists(js / "node_modules"))
      throw std::runtime_error("the npm packages of these tests are missing: run tests/run, or `npm ci` in " +
                               js.string());
    const auto made = run({"node", (js / "operator.js").string(), dir_.path().string(), std::to_string(short_life_s)});
    if (made.exit_code != 0) throw std::runtime_error("operator.js failed: " + made.err);
  }

  std::string file(std::string_view name) const { return (dir_ / name).string(); }

  // For a server's configuration file; the second has revoked the user of relay.creds.
  std::string server_config() const { return read("server.conf"); }
  std::string revoked_config() const { return read("revoked.conf"); }

 private:
  std::string read(std::string_view name) const {
    std::ifstream in(dir_ / name);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  TempDir dir_{"tide-test-jwt"};
};

}  // namespace tide::test
