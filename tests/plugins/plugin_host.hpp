// A host for one sink plugin in tests: loads the .so as the relay does and speaks its C interface, nothing else.
// Threads: one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tide/sink.h"

namespace tide::test {

// Values for the plugin's options, by name; several for a template that routes give alternatives. Options that are left
// out get their defaults.
using Options = std::map<std::string, std::variant<std::string, bool, std::int64_t, std::vector<std::string>>>;

struct Event {
  std::string subject;  // the one template option, rendered
  std::string key;
  std::string payload = "{}";
  std::vector<std::pair<std::string, std::string>> headers = {};
  bool maybe_sent = false;
  std::string outbox = "orders";
  std::string op = "insert";
  std::int64_t outbox_id = 1;
  std::string order = {};                              // the second template option, where there is one
  std::string third = {};                              // the third one
  std::int64_t created_at_us = 1'764'064'800'123'456;  // 2025-11-25T10:00:00.123456Z
};

struct Result {
  std::int32_t status = -1;
  bool duplicate = false;
  std::int64_t native_code = 0;
  std::uint64_t position = 0;
  std::string error;
};

// What a call returned.
struct Outcome {
  std::int32_t status = TIDE_OK;
  std::string error;
};

// The plugin named by the environment variable TIDE_TEST_PLUGIN. Never unloaded.
const tide_sink& plugin();

// One connection attempt and, when that worked, the instance, which then had its first ack. Tokens count from 1 in the
// order of publish.
class Instance {
 public:
  explicit Instance(const Options& options, std::chrono::milliseconds deadline = std::chrono::seconds(10),
                    std::uint64_t sink_position = 0);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  const Outcome& connected() const { return connected_; }
  const std::string& log() const { return *log_; }

  // Where the sink said that it stands; nothing when it did not.
  std::optional<std::uint64_t> standing() const { return standing_; }

  // Publishes once; returns how many were accepted.
  std::uint64_t publish(const std::vector<Event>& events);

  // Publishes all, pulling acknowledgements whenever the plugin is full, and then until each has its result or the
  // instance breaks. Results come in the order of the events; an event without a result has status -1.
  std::vector<Result> deliver(const std::vector<Event>& events);

  // One ack call; the results by token.
  std::map<std::uint64_t, Result> ack(std::chrono::milliseconds timeout, std::uint64_t capacity = 10000);

  void close(std::chrono::milliseconds deadline = std::chrono::seconds(5));

  // Of the last publish or ack.
  const Outcome& outcome() const { return outcome_; }

 private:
  std::unique_ptr<std::string> log_ = std::make_unique<std::string>();
  tide_host host_;
  void* instance_ = nullptr;
  Outcome connected_;
  Outcome outcome_;
  std::uint64_t last_token_ = 0;
  std::optional<std::uint64_t> standing_;
};

}  // namespace tide::test
