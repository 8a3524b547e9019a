// SPDX-License-Identifier: Apache-2.0
//
// AMQP 0-9-1 on the wire: frames to bytes and back, by librabbitmq's encoding of methods and properties. One thread at
// a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "amqp_headers.hpp"

namespace tide::rabbitmq {

inline amqp_bytes_t bytes(std::string_view text) {
  return {text.size(), const_cast<char*>(text.data())};  // librabbitmq does not write to what it encodes
}
inline std::string_view view(const amqp_bytes_t& bytes) {
  return bytes.len == 0 ? std::string_view{} : std::string_view{static_cast<const char*>(bytes.bytes), bytes.len};
}

class FrameWriter {
 public:
  // Each adds frames to out. method points to the struct of that number.
  void method(std::string& out, std::uint16_t channel, amqp_method_number_t number, void* method);
  // The properties and the body that follow basic.publish. False, and adds nothing, where the properties do not fit
  // into a frame.
  bool content(std::string& out, std::uint16_t channel, amqp_basic_properties_t properties, std::string_view body);
  void heartbeat(std::string& out);

  void set_frame_max(std::size_t size) { frame_max_ = size; }

 private:
  std::size_t frame_max_ = AMQP_FRAME_MIN_SIZE;
  std::string buffer_;
};

class FrameReader {
 public:
  FrameReader();

  // take: what a frame is valid for. Throws a retry Error where the bytes are no AMQP.
  void feed(std::string_view came, const std::function<void(const amqp_frame_t&)>& take);
  void set_frame_max(std::size_t size);

 private:
  std::unique_ptr<amqp_connection_state_t_, int (*)(amqp_connection_state_t)> state_;
};

}  // namespace tide::rabbitmq
