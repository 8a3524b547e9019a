// SPDX-License-Identifier: Apache-2.0
//
// A connection to RabbitMQ with one channel in confirm mode. No call but the constructor waits for the server. One
// thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "../net/stream.hpp"
#include "frames.hpp"
#include "settings.hpp"

namespace tide::rabbitmq {

using net::Clock;

// What the server says.
struct Confirmed {
  std::uint64_t tag;
  bool multiple;  // and all before it
  bool stored;    // else refused
};
struct Returned {  // its confirmation follows
  std::string message_id;
  std::string exchange;
  std::string routing_key;
  std::string why;
};
struct ChannelClosed {
  std::uint16_t code;
  std::string text;
};
struct ChannelOpened {};  // tags count from 1
struct Blocked {
  std::string reason;
};
struct Unblocked {};
using Event = std::variant<Confirmed, Returned, ChannelClosed, ChannelOpened, Blocked, Unblocked>;

class Connection {
 public:
  // Connects, logs in, sees that the exchanges exist and opens the channel. Throws Error.
  Connection(const net::ServerUrl& server, const Settings& settings, Clock::time_point until);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // False, and sends nothing, where the properties are too large.
  bool publish(std::string_view exchange, std::string_view routing_key, const amqp_basic_properties_t& properties,
               std::string_view body);
  void flush();
  void open_channel();
  [[nodiscard]] std::size_t unsent() const { return out_.size() + stream_.unsent(); }
  [[nodiscard]] std::size_t largest_properties() const { return frame_max_; }

  // Waits for something to come, or to be said of the end; false when the time is up.
  bool wait(Clock::time_point until) const { return over_ || stream_.wait(until); }
  // What has come. Throws Error when the connection is over.
  std::vector<Event> receive();
  // Sends heartbeats, and misses the server's: throws a retry Error.
  void keep_alive();

  [[nodiscard]] const std::string& server() const { return server_; }

 private:
  void log_in(const Settings& settings, Clock::time_point until);
  void require_exchange(const std::string& exchange, const Settings& settings, Clock::time_point until);
  void tune(const amqp_connection_tune_t& offered, const Settings& settings);
  amqp_method_number_t await(std::initializer_list<amqp_method_number_t> methods, const char* what,
                             Clock::time_point until);
  void read(const std::function<void(const amqp_frame_t&)>& take);
  void take(const amqp_frame_t& frame, std::vector<Event>& events);
  void take_returned(const amqp_frame_t& header, std::vector<Event>& events);
  void take_method(const amqp_method_t& method, std::vector<Event>& events);
  template <class Method>
  void send(std::uint16_t channel, amqp_method_number_t number, Method method) {
    writer_.method(out_, channel, number, &method);
  }

  const std::string server_;
  net::Stream stream_;
  FrameWriter writer_;
  FrameReader reader_;
  std::string out_;  // frames that are not yet the stream's
  std::string came_;
  std::size_t frame_max_ = AMQP_FRAME_MIN_SIZE;
  std::optional<Returned> returning_;  // its properties follow
  std::chrono::seconds heartbeat_{0};
  Clock::time_point sent_{};
  Clock::time_point heard_{};
  // Of the method that await() came to.
  amqp_connection_tune_t offered_{};
  std::string mechanisms_;
  ChannelClosed closed_{};
  std::optional<Error> over_;  // the server closed the connection
};

}  // namespace tide::rabbitmq
