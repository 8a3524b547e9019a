// A JWT operator with accounts and users, made by NATS's own JavaScript library (see js/operator.js). One thread.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/jetstream.hpp"
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

  // A client with relay.creds, and a stream EVENTS. JetStream serves an account a moment after its server answers.
  std::unique_ptr<JetStream> make_stream(const std::string& url, const std::vector<std::string>& subjects,
                                         const std::string& ca_file = {}) const {
    std::unique_ptr<JetStream> client;
    std::string error;
    const bool made = eventually(std::chrono::seconds(60), [&] {
      try {
        client = std::make_unique<JetStream>(url, ClientOptions{file("relay.creds"), ca_file});
        client->create_stream("EVENTS", subjects);
        return true;
      } catch (const std::exception& failure) {
        error = failure.what();
        return false;
      }
    });
    if (!made) throw std::runtime_error("the operator's account gets no stream: " + error);
    return client;
  }

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
