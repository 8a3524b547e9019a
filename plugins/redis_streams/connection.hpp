// SPDX-License-Identifier: Apache-2.0
//
// A connection to Redis: commands go out, replies come back in their order. No call but the constructor waits for one.
// One thread at a time.
#pragma once

#include <hiredis/hiredis.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../net/stream.hpp"
#include "settings.hpp"

namespace tide::redis {

using net::Clock;

class Reply {
 public:
  explicit Reply(void* reply = nullptr) : reply_(static_cast<redisReply*>(reply), freeReplyObject) {}

  explicit operator bool() const { return reply_ != nullptr; }
  [[nodiscard]] bool is_error() const { return reply_->type == REDIS_REPLY_ERROR; }
  [[nodiscard]] bool is_nil() const { return reply_->type == REDIS_REPLY_NIL; }
  [[nodiscard]] std::string_view text() const { return text_of(*reply_); }
  // Of an array: the text of its element; empty where there is none.
  [[nodiscard]] std::string_view text(std::size_t element) const {
    return element < reply_->elements ? text_of(*reply_->element[element]) : std::string_view{};
  }

 private:
  static std::string_view text_of(const redisReply& reply) {
    return reply.str == nullptr ? std::string_view{} : std::string_view{reply.str, static_cast<std::size_t>(reply.len)};
  }

  std::unique_ptr<redisReply, void (*)(void*)> reply_;
};

class Connection {
 public:
  // Connects to the server, logs in and sees whether it takes writes. Throws Error.
  Connection(const net::ServerUrl& server, const Settings& settings, Clock::time_point until);

  using Command = std::vector<std::string_view>;
  void send(const Command& command);
  void flush() { stream_.flush(); }
  [[nodiscard]] std::size_t unsent() const { return stream_.unsent(); }

  // Waits for something to come; false when the time is up.
  bool wait(Clock::time_point until) const { return stream_.wait(until); }
  void receive();
  Reply next_reply();  // of what was received; none: no whole one

  [[nodiscard]] const std::string& server() const { return server_; }
  // Of one value, in bytes.
  [[nodiscard]] std::size_t max_value() const { return max_value_; }

 private:
  Reply answer(Clock::time_point until);
  void log_in(const Settings& settings, Clock::time_point until);

  const std::string server_;
  net::Stream stream_;
  std::unique_ptr<redisReader, void (*)(redisReader*)> reader_{redisReaderCreate(), redisReaderFree};
  std::string received_;
  std::size_t max_value_ = std::size_t{512} * 1024 * 1024;
};

}  // namespace tide::redis
