// One connection of one pipeline to its sink, through the plugin's C functions. One thread at a time.
#pragma once

#include <tide/sink.h>

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "sink/plugin.hpp"

namespace tide {

// The connection can't be made or is broken: connect again later. What has no result is unknown.
class SinkDown : public Error {
 public:
  using Error::Error;
};

// The sink's configuration or rights are wrong: trying again at once can not help.
class SinkFatal : public Error {
 public:
  using Error::Error;
};

// The sink's server takes its leave: connect again at once. What has no result is unknown.
class SinkLeaves : public Error {
 public:
  using Error::Error;
};

class Sink {
 public:
  // Connects within the deadline; throws SinkDown or SinkFatal.
  Sink(std::shared_ptr<const Plugin> plugin, const std::string& pipeline, const std::vector<OptionValue>& values,
       std::uint64_t sink_position, std::chrono::milliseconds deadline);
  ~Sink();
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

  // How many of the messages were taken, from the first on. Throws SinkDown, SinkFatal or SinkLeaves.
  std::size_t publish(std::span<const tide_message> messages);

  // Waits for results. They, and their texts, are valid until the next call. When the sink breaks while it hands over
  // results, these are returned and the next call throws.
  std::span<const tide_result> ack(std::chrono::milliseconds timeout);

  // What a plugin says, which may be any bytes, fit for the log and for PostgreSQL.
  static std::string told(std::string_view text);

 private:
  [[nodiscard]] std::string prefix() const;
  void raise(std::int32_t status, const tide_error& error, const char* call) const;
  [[noreturn]] void refuse(const std::string& fault, const char* rule) const;
  // An operation, as one that may hang, crash or throw.
  template <class Operation>
  std::int32_t call(const char* name, std::chrono::milliseconds limit, Operation operation) const;
  void check(std::span<const tide_result> results);
  void heard();

  static void log(void* ctx, std::int32_t level, tide_str text);

  const std::shared_ptr<const Plugin> plugin_;
  const std::string pipeline_;
  tide_host host_{};
  void* instance_ = nullptr;
  std::vector<tide_result> results_;
  std::int32_t broken_ = TIDE_OK;
  tide_error broken_error_{};
  std::uint64_t last_token_ = 0;  // that was published
  // What has no result yet, since when nothing was heard, and when that is told.
  std::size_t in_flight_ = 0;
  std::chrono::steady_clock::time_point heard_at_;
  std::chrono::seconds tell_after_{};
};

}  // namespace tide
