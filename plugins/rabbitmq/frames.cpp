// SPDX-License-Identifier: Apache-2.0
#include "frames.hpp"

#include <algorithm>
#include <array>
#include <new>

#include "tide/sink.hpp"

namespace tide::rabbitmq {
namespace {

constexpr std::size_t kOverhead = 8;  // type, channel and size before what a frame holds, a mark behind it

template <class Number>
void append_number(std::string& out, Number number) {
  for (int shift = static_cast<int>(sizeof number) * 8 - 8; shift >= 0; shift -= 8)
    out += static_cast<char>(static_cast<std::uint64_t>(number) >> static_cast<unsigned>(shift) & 0xff);
}

void begin_frame(std::string& out, std::uint8_t type, std::uint16_t channel, std::size_t size) {
  append_number(out, type);
  append_number(out, channel);
  append_number(out, static_cast<std::uint32_t>(size));
}

void end_frame(std::string& out) {
  out += '\xce';
}

}  // namespace

void FrameWriter::method(std::string& out, std::uint16_t channel, amqp_method_number_t number, void* method) {
  buffer_.resize(std::max<std::size_t>(frame_max_, 65536));  // a token that is the password may be long
  const int size = amqp_encode_method(number, method, bytes(buffer_));
  if (size < 0) throw Error::fatal(std::string("AMQP can't express it: ") + amqp_error_string2(size));
  begin_frame(out, AMQP_FRAME_METHOD, channel, static_cast<std::size_t>(size) + 4);
  append_number(out, number);
  out.append(buffer_, 0, static_cast<std::size_t>(size));
  end_frame(out);
}

bool FrameWriter::content(std::string& out, std::uint16_t channel, amqp_basic_properties_t properties,
                          std::string_view body) {
  constexpr std::size_t kBefore = 12;  // class, weight and the body's size
  buffer_.resize(frame_max_ - kOverhead - kBefore);
  const int size = amqp_encode_properties(AMQP_BASIC_CLASS, &properties, bytes(buffer_));
  if (size < 0) return false;
  begin_frame(out, AMQP_FRAME_HEADER, channel, static_cast<std::size_t>(size) + kBefore);
  append_number(out, static_cast<std::uint16_t>(AMQP_BASIC_CLASS));
  append_number(out, std::uint16_t{0});
  append_number(out, static_cast<std::uint64_t>(body.size()));
  out.append(buffer_, 0, static_cast<std::size_t>(size));
  end_frame(out);
  while (!body.empty()) {
    const auto part = body.substr(0, frame_max_ - kOverhead);
    begin_frame(out, AMQP_FRAME_BODY, channel, part.size());
    out += part;
    end_frame(out);
    body.remove_prefix(part.size());
  }
  return true;
}

void FrameWriter::heartbeat(std::string& out) {
  begin_frame(out, AMQP_FRAME_HEARTBEAT, 0, 0);
  end_frame(out);
}

FrameReader::FrameReader() : state_(amqp_new_connection(), amqp_destroy_connection) {
  if (!state_) throw std::bad_alloc();
}

void FrameReader::set_frame_max(std::size_t size) {
  if (amqp_tune_connection(state_.get(), 0, static_cast<int>(size), 0) != AMQP_STATUS_OK) throw std::bad_alloc();
}

void FrameReader::feed(std::string_view came, const std::function<void(const amqp_frame_t&)>& take) {
  while (!came.empty()) {
    amqp_frame_t frame{};
    const int used = amqp_handle_input(state_.get(), bytes(came), &frame);
    if (used < 0)
      throw Error::retry(std::string("what the server sends is no AMQP (") + amqp_error_string2(used) + ")");
    came.remove_prefix(static_cast<std::size_t>(used));
    if (frame.frame_type != 0) take(frame);
    amqp_maybe_release_buffers(state_.get());
  }
}

}  // namespace tide::rabbitmq
