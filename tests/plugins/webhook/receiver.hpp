// The HTTP server of server.py: what it was asked, in order. One thread.
#pragma once

#include <simdjson.h>

#include <csignal>
#include <fstream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/process.hpp"

namespace tide::test {

struct Received {
  std::string method, path, body;
  std::int64_t status = 0;  // that was answered; 0: none
  std::map<std::string, std::string> headers;
};

class Receiver {
 public:
  explicit Receiver(const std::vector<std::string>& tls = {}) {
    command_ = {variable("TIDE_TEST_PYTHON"), variable("TIDE_TEST_WEBHOOK") + "/server.py", (dir_ / "log").string()};
    command_.insert(command_.end(), tls.begin(), tls.end());
    start();
  }
  void start() {  // again on the same port
    ProcessOptions options;
    options.env["TIDE_TEST_PORT"] = std::to_string(port_);
    process_ = std::make_unique<Process>(command_, options);
    if (!eventually(std::chrono::seconds(20), [&] { return process_->out().ends_with('\n'); }))
      throw std::runtime_error("server.py did not start: " + process_->err());
    port_ = std::stoi(process_->out().substr(5));
  }
  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] std::string url(const std::string& path, const std::string& scheme = "http",
                                const std::string& host = "127.0.0.1") const {
    return scheme + "://" + host + ":" + std::to_string(port_) + path;
  }
  void kill() {
    process_->kill(SIGKILL);
    process_->wait(std::chrono::seconds(10));
  }
  [[nodiscard]] std::vector<Received> received() const {
    std::vector<Received> all;
    simdjson::dom::parser parser;
    std::ifstream in(dir_ / "log");
    for (std::string line; std::getline(in, line) && !in.eof();) {
      const simdjson::dom::element record = parser.parse(line);
      auto& r = all.emplace_back();
      const auto text = [&](const char* name) { return std::string(std::string_view(record[name])); };
      r.method = text("method");
      r.path = text("path");
      r.body = text("body");
      r.status = record["status"];
      for (const auto& [name, value] : simdjson::dom::object(record["headers"]))
        r.headers[std::string(name)] = std::string(std::string_view(value));
    }
    return all;
  }

 private:
  TempDir dir_;
  std::vector<std::string> command_;
  std::unique_ptr<Process> process_;
  int port_ = 0;
};

}  // namespace tide::test
