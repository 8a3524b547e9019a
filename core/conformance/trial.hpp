// One instance of a plugin under test: what the relay may do, and strictly so; whatever the plugin does against the
// rules is found. Its structs are larger than this ABI minor's, as a newer relay's would be. One thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "conformance/live_config.hpp"

namespace tide::conformance {

using std::chrono::milliseconds;

// How late a machine that is busy may let a plugin be.
inline constexpr milliseconds kSlack{2000};
inline constexpr milliseconds kPatience{30'000};  // with no result or room for any message

struct Message {
  std::int64_t id = 0;
  std::string key;
  std::string payload;
  std::string headers;  // a JSON object, or empty
};

// count of them, no two alike in one run of the program; nor in two, by `run`.
std::vector<Message> make_messages(std::size_t count, std::size_t payload_size = 20);

struct Settled {
  std::int32_t status = 0;
  std::uint32_t flags = 0;
  std::uint64_t position = 0;
};

class Trial {
 public:
  // Connects. values are what connect gets; rendering makes the messages' fields.
  Trial(const Plugin& plugin, const SinkConfig& config, std::uint64_t sink_position = 0,
        milliseconds deadline = milliseconds(5000));
  ~Trial();
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  [[nodiscard]] bool lives() const { return instance_ != nullptr && status_ == TIDE_OK; }
  [[nodiscard]] std::int32_t status() const { return status_; }  // of the last call
  [[nodiscard]] const std::string& error() const { return error_; }

  // One call; how many it took, from the first on. What can not be rendered is an error of the test's own.
  std::size_t publish(const std::vector<Message>& messages, std::size_t from = 0, std::size_t count = SIZE_MAX,
                      bool maybe_sent = false);
  // One call; how many results it gave.
  std::size_t ack(milliseconds timeout, std::size_t capacity = 1024);
  // Publishes all and pulls results until each message has one. False when the instance ended, or time is up.
  bool deliver(const std::vector<Message>& messages, std::size_t batch = 100, bool maybe_sent = false);
  // Pulls results until none is missing.
  bool settle();
  void close(milliseconds deadline = milliseconds(5000));

  [[nodiscard]] std::size_t in_flight() const { return in_flight_.size(); }
  [[nodiscard]] const std::map<std::uint64_t, Settled>& settled() const { return settled_; }  // by token
  [[nodiscard]] std::uint64_t position() const { return position_; }
  [[nodiscard]] std::string outcomes() const;  // "200 stored, 3 rejected"

 private:
  struct Grown;

  void told(const std::string& text, const char* where);
  std::int32_t ended(std::int32_t status, const tide_error& error, const char* name, bool may_reconnect);
  void take(const tide_result& result);

  const Plugin& plugin_;
  const SinkConfig& config_;
  Renderer renderer_;
  std::unique_ptr<Grown> host_;
  void* instance_ = nullptr;
  std::int32_t status_ = TIDE_OK;
  std::string error_;
  std::uint64_t last_token_ = 0;
  bool acked_ = false;
  std::uint64_t position_ = 0;
  std::uint64_t last_stored_ = 0;  // the token of position_
  std::set<std::uint64_t> in_flight_;
  std::map<std::uint64_t, Settled> settled_;
};

}  // namespace tide::conformance
