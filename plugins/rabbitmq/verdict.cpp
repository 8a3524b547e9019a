// SPDX-License-Identifier: Apache-2.0
#include "verdict.hpp"

#include <charconv>

#include "amqp_headers.hpp"
#include "tide/sink.h"

namespace tide::rabbitmq {
namespace {

bool says(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string_view advice(std::uint16_t code, std::string_view text) {
  switch (code) {
    case AMQP_ACCESS_REFUSED:
      if (says(text, "Login was refused")) return ". Check username and password; guest may log in from localhost only";
      return ". Give the user the right to write to that exchange: rabbitmqctl set_permissions -p VHOST USER '' '.*' "
             "''";
    case AMQP_NOT_FOUND:
      return ". Declare the exchange, or check exchange and vhost";
    case AMQP_NOT_ALLOWED:
      if (says(text, "limit")) return {};
      return ". Check vhost, and the user's rights in it";
    case AMQP_PRECONDITION_FAILED:
      if (says(text, "larger than")) return ". Raise the server's max_message_size, or keep large things elsewhere";
      return {};
    default:
      return {};
  }
}

}  // namespace

std::int32_t outcome_of_close(std::uint16_t code, std::string_view text) {
  switch (code) {
    case AMQP_NOT_ALLOWED:  // also said of what passes
      return says(text, "limit") || says(text, "is down") ? TIDE_RETRY : TIDE_FATAL;
    case AMQP_ACCESS_REFUSED:
    case AMQP_INVALID_PATH:
    case AMQP_NOT_IMPLEMENTED:
    case AMQP_SYNTAX_ERROR:
      return TIDE_FATAL;
    default:
      return TIDE_RETRY;
  }
}

std::int32_t outcome_of_channel(std::uint16_t code) {
  switch (code) {
    case AMQP_ACCESS_REFUSED:
    case AMQP_NOT_FOUND:
    case AMQP_PRECONDITION_FAILED:
      return TIDE_FATAL;
    default:
      return TIDE_RETRY;
  }
}

std::string explained(std::uint16_t code, std::string_view text) {
  return std::string(text) + " (" + std::to_string(code) + ")" + std::string(advice(code, text));
}

std::string_view missing_exchange(std::string_view text) {
  constexpr std::string_view before = "no exchange '";
  const auto begin = text.find(before);
  if (begin == std::string_view::npos) return {};
  const auto name = text.substr(begin + before.size());
  return name.substr(0, name.rfind("' in vhost"));
}

std::optional<std::uint64_t> largest_message(std::string_view text) {
  if (!says(text, "larger than")) return std::nullopt;
  const auto begin = text.find_last_of(' ') + 1;
  std::uint64_t size = 0;
  const auto [end, error] = std::from_chars(text.data() + begin, text.data() + text.size(), size);
  return error == std::errc() ? std::optional(size) : std::nullopt;
}

}  // namespace tide::rabbitmq
