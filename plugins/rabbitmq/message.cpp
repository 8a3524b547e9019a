// SPDX-License-Identifier: Apache-2.0
#include "message.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "../envelope/envelope.hpp"
#include "frames.hpp"

namespace tide::rabbitmq {
namespace {

constexpr std::size_t kShortest = 255;  // AMQP's short strings

// The whole key, where the message's id can't hold it.
constexpr std::string_view kKeyHeader = "tide-key";

std::string digest_of(std::string_view key) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_Digest(key.data(), key.size(), digest.data(), &size, EVP_sha256(), nullptr);
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text = "sha256-";
  for (unsigned i = 0; i < size; ++i) {
    text += digits[digest[i] >> 4];
    text += digits[digest[i] & 15];
  }
  return text;
}

bool is_content_type(std::string_view name) {
  constexpr std::string_view lower = "content-type";
  return std::equal(name.begin(), name.end(), lower.begin(), lower.end(),
                    [](unsigned char a, char b) { return std::tolower(a) == b; });
}

amqp_table_entry_t entry(std::string_view name, std::string_view value) {
  amqp_table_entry_t entry{};
  entry.key = bytes(name);
  entry.value.kind = AMQP_FIELD_KIND_UTF8;
  entry.value.value.bytes = bytes(value);
  return entry;
}

}  // namespace

std::string MessageMaker::make(const tide_message& event, std::string_view exchange, std::string_view routing_key) {
  if (exchange.size() > kShortest || routing_key.size() > kShortest)
    return "its exchange or routing key is longer than 255 bytes, which AMQP does not allow";
  const auto key = tide::view(event.key);
  const auto op = tide::view(event.op);
  std::string_view content_type = settings_.content_type;
  headers_.clear();
  for (const auto& header : headers(event)) {
    const auto name = tide::view(header.name);
    const auto value = tide::view(header.value);
    if (is_content_type(name) && value.size() <= kShortest) {
      content_type = value;
      continue;
    }
    if (name == "CC" || name == "BCC")
      return "its header '" + std::string(name) + "' would make the server send it to other queues, too";
    if (name.size() > kShortest) return "the name of one of its headers is longer than 255 bytes";
    headers_.push_back(entry(name, value));
  }
  if (key.size() <= kShortest) {
    id_ = key;
  } else {
    id_ = digest_of(key);
    headers_.push_back(entry(kKeyHeader, key));
  }
  if (settings_.envelope) {
    envelope_.clear();
    envelope::append(envelope_, event);
    body_ = envelope_;
  } else {
    body_ = tide::view(event.payload);
  }

  properties_ = {};
  properties_._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG |
                       AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TIMESTAMP_FLAG;
  properties_.content_type = bytes(content_type);
  properties_.headers = {static_cast<int>(headers_.size()), headers_.data()};
  properties_.delivery_mode = settings_.persistent ? AMQP_DELIVERY_PERSISTENT : AMQP_DELIVERY_NONPERSISTENT;
  properties_.message_id = bytes(id_);
  properties_.timestamp = static_cast<std::uint64_t>(std::max<std::int64_t>(event.created_at_us, 0) / 1'000'000);
  if (op.size() <= kShortest) {
    properties_._flags |= AMQP_BASIC_TYPE_FLAG;
    properties_.type = bytes(op);
  }
  return {};
}

}  // namespace tide::rabbitmq
