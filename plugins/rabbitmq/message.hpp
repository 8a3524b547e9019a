// SPDX-License-Identifier: Apache-2.0
//
// An event as AMQP's message. One thread at a time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "amqp_headers.hpp"
#include "settings.hpp"
#include "tide/sink.hpp"

namespace tide::rabbitmq {

class MessageMaker {
 public:
  explicit MessageMaker(const Settings& settings) : settings_(settings) {}

  // What can't be said in AMQP, or would send the message elsewhere; empty: it can be sent, and the rest is its own
  // until the next call. Points into the event.
  std::string make(const tide_message& event, std::string_view exchange, std::string_view routing_key);
  [[nodiscard]] const amqp_basic_properties_t& properties() const { return properties_; }
  [[nodiscard]] std::string_view body() const { return body_; }
  [[nodiscard]] std::string_view id() const { return id_; }

 private:
  const Settings& settings_;
  amqp_basic_properties_t properties_{};
  std::vector<amqp_table_entry_t> headers_;
  std::string id_;
  std::string envelope_;
  std::string_view body_;
};

}  // namespace tide::rabbitmq
