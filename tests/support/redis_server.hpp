// One private redis-server: loopback, free port, temporary folder, ended with its object. One thread.
#pragma once

#include <hiredis/hiredis.h>

#include <cstdint>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/process.hpp"

namespace tide::test {

class RedisServer {
 public:
  // The arguments are appended: {"--maxmemory", "3mb"}. What it has stored is on disk before it answers.
  explicit RedisServer(std::vector<std::string> arguments = {}) : arguments_(std::move(arguments)) {
    for (int attempt = 1;; ++attempt) {
      port_ = free_port();
      try {
        start();
        return;
      } catch (const std::exception& error) {  // another process may have taken the port
        if (attempt == 3 || std::string_view(error.what()).find("already in use") == std::string_view::npos) throw;
      }
    }
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url() const { return "redis://127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] std::string socket() const { return (dir_ / "redis.sock").string(); }
  [[nodiscard]] std::string log() const {
    const std::ifstream in(dir_ / "log");
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }

  void start() {
    ProcessOptions options;
    options.cwd = dir_.path();
    options.output = dir_ / "log";
    std::vector<std::string> argv{find_program("TIDE_TEST_REDIS_SERVER", "redis-server", {"/usr/bin"}).string(),
                                  "--bind",
                                  "127.0.0.1",
                                  "--port",
                                  std::to_string(port_),
                                  "--unixsocket",
                                  socket(),
                                  "--dir",
                                  dir_.path().string(),
                                  "--appendonly",
                                  "yes",
                                  "--appendfsync",
                                  "always",
                                  "--save",
                                  ""};
    argv.insert(argv.end(), arguments_.begin(), arguments_.end());
    const auto before = log().size();
    process_ = std::make_unique<Process>(argv, options);
    const bool started = eventually(std::chrono::seconds(60), [&] {
      return !process_->running() || log().find("Ready to accept connections", before) != std::string::npos;
    });
    if (!started || !process_->running()) throw std::runtime_error("redis-server did not start:\n" + log());
  }
  void kill9() {
    process_->kill(SIGKILL);
    process_->wait(std::chrono::seconds(60));
  }
  void pause() { process_->kill(SIGSTOP); }
  void resume() { process_->kill(SIGCONT); }

 private:
  TempDir dir_{"tide-test-redis"};
  std::vector<std::string> arguments_;
  std::uint16_t port_ = 0;
  std::unique_ptr<Process> process_;
};

// A client that looks at what the server holds. One thread.
class RedisClient {
 public:
  explicit RedisClient(const RedisServer& server) : context_(redisConnectUnix(server.socket().c_str()), redisFree) {
    if (!context_ || context_->err != 0) throw std::runtime_error("cannot connect to redis-server");
  }

  using Reply = std::unique_ptr<redisReply, void (*)(void*)>;
  Reply ask(const std::vector<std::string>& command) {
    std::vector<const char*> texts;
    std::vector<std::size_t> sizes;
    for (const auto& part : command) {
      texts.push_back(part.data());
      sizes.push_back(part.size());
    }
    Reply reply(static_cast<redisReply*>(
                    redisCommandArgv(context_.get(), static_cast<int>(command.size()), texts.data(), sizes.data())),
                freeReplyObject);
    if (!reply) throw std::runtime_error(command[0] + ": the connection to redis-server is lost");
    if (reply->type == REDIS_REPLY_ERROR) throw std::runtime_error(command[0] + ": " + reply->str);
    return reply;
  }
  long long integer(const std::vector<std::string>& command) { return ask(command)->integer; }
  std::string text(const std::vector<std::string>& command) {
    const auto reply = ask(command);
    return reply->str == nullptr ? std::string() : std::string(reply->str, static_cast<std::size_t>(reply->len));
  }

  // A stream's entries, in their order: fields and values.
  using Entry = std::vector<std::pair<std::string, std::string>>;
  std::vector<Entry> entries(const std::string& stream) {
    std::vector<Entry> entries;
    const auto reply = ask({"XRANGE", stream, "-", "+"});
    for (std::size_t i = 0; i < reply->elements; ++i) {
      const auto* const fields = reply->element[i]->element[1];
      auto& entry = entries.emplace_back();
      for (std::size_t f = 0; f + 1 < fields->elements; f += 2)
        entry.emplace_back(
            std::string(fields->element[f]->str, static_cast<std::size_t>(fields->element[f]->len)),
            std::string(fields->element[f + 1]->str, static_cast<std::size_t>(fields->element[f + 1]->len)));
    }
    return entries;
  }
  static std::string value(const Entry& entry, const std::string& field) {
    for (const auto& [name, value] : entry)
      if (name == field) return value;
    return {};
  }

 private:
  std::unique_ptr<redisContext, void (*)(redisContext*)> context_;
};

}  // namespace tide::test
