// SPDX-License-Identifier: Apache-2.0
#include "message.hpp"

#include <strings.h>

#include <algorithm>

#include "subject.hpp"

namespace tide::nats {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view id_header = "Nats-Msg-Id";
constexpr std::string_view stream_header = "Nats-Expected-Stream";
constexpr std::string_view sequence_header = "Nats-Expected-Last-Sequence";

// NATS keeps these names for itself: by many of them, more with each release, JetStream would do something else than
// store the event under its key, and some it answers with an error at which the pipeline would stand still.
bool steers_jetstream(std::string_view name) {
  constexpr auto family = "Nats-"sv;
  return name.size() >= family.size() && ::strncasecmp(name.data(), family.data(), family.size()) == 0;
}

// cnats takes a message without a body, as a reader of headers alone gets it, for the server's word that nobody
// listens.
bool looks_like_no_responders(std::string_view name, std::string_view value) {
  value.remove_prefix(std::min(value.find_first_not_of(" \t\v\f"), value.size()));
  return name == "Status"sv && value.starts_with("503"sv);
}

bool is_header_name(std::string_view name) {
  return !name.empty() && std::none_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == ':' || c == '\x7f';
  });
}

// cnats takes C strings, and turns line breaks silently into spaces.
bool is_header_value(std::string_view value) {
  return value.find_first_of("\r\n\0"sv) == std::string_view::npos;
}

constexpr std::size_t encoded_size(std::string_view name, std::string_view value) {
  return name.size() + ": "sv.size() + value.size() + "\r\n"sv.size();
}

// Control characters would garble the log.
std::string printable(std::string_view text) {
  std::string shown(text.substr(0, 200));
  for (char& c : shown)
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  return shown;
}

}  // namespace

std::optional<std::string> MessageMaker::why_unsendable(const tide_message& event, std::string_view subject,
                                                        std::size_t max_payload) const {
  if (!is_publishable(subject))
    return "the subject '" + printable(subject) +
           "' is not valid: it has an empty token, white space, a control character or a wildcard";
  if (!is_header_value(view(event.key)))
    return "the key '" + printable(view(event.key)) + "' cannot be a Nats-Msg-Id: it has a line break or a NUL";
  if (const auto key = view(event.key); key.starts_with(' ') || key.ends_with(' '))
    return "the key '" + printable(key) +
           "' cannot be a Nats-Msg-Id: it begins or ends with a space, which NATS takes away, and so might be "
           "another's";
  for (const tide_header& header : headers(event)) {
    const auto name = view(header.name);
    if (!is_header_name(name))
      return "the header name '" + printable(name) +
             "' is not valid: it is empty or has white space, ':' or a control "
             "character";
    if (steers_jetstream(name))
      return "the header '" + printable(name) +
             "' is reserved: by Nats-… JetStream is told how to store, which is the relay's part";
    if (looks_like_no_responders(name, view(header.value)))
      return "the header 'Status: 503…' is what NATS itself says where nobody listens";
    if (!is_header_value(view(header.value)))
      return "the value of the header '" + printable(name) + "' has a line break or a NUL";
  }
  const std::size_t headers_size = header_bytes(event);
  if (event.payload.size > max_payload || event.payload.size + headers_size > max_payload)
    return "the message is too large: payload " + std::to_string(event.payload.size) + " bytes and headers " +
           std::to_string(headers_size) + " bytes exceed the server's max_payload of " + std::to_string(max_payload);
  return std::nullopt;
}

MessagePtr MessageMaker::make(const tide_message& event, const std::string& subject, const std::string& reply,
                              std::uint64_t expected_sequence) {
  natsMsg* raw = nullptr;
  if (natsMsg_Create(&raw, subject.c_str(), reply.c_str(), event.payload.data, static_cast<int>(event.payload.size)) !=
      NATS_OK)
    throw std::bad_alloc();
  MessagePtr message(raw);
  add_header(*message, id_header, view(event.key));
  if (!expected_stream_.empty()) add_header(*message, stream_header, expected_stream_);
  if (exclusive_) add_header(*message, sequence_header, std::to_string(expected_sequence));
  for (const tide_header& header : headers(event)) add_header(*message, view(header.name), view(header.value));
  return message;
}

void MessageMaker::add_header(natsMsg& message, std::string_view name, std::string_view value) {
  name_ = name;
  value_ = value;
  if (natsMsgHeader_Add(&message, name_.c_str(), value_.c_str()) != NATS_OK) throw std::bad_alloc();
}

std::size_t MessageMaker::header_bytes(const tide_message& event) const {
  std::size_t size = "NATS/1.0\r\n\r\n"sv.size() + encoded_size(id_header, view(event.key));
  if (!expected_stream_.empty()) size += encoded_size(stream_header, expected_stream_);
  if (exclusive_) size += encoded_size(sequence_header, "18446744073709551615");
  for (const tide_header& header : headers(event)) size += encoded_size(view(header.name), view(header.value));
  return size;
}

}  // namespace tide::nats
