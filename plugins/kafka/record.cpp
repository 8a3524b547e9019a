// SPDX-License-Identifier: Apache-2.0
#include "record.hpp"

#include <algorithm>
#include <cctype>
#include <new>

#include "settings.hpp"

namespace tide::kafka {
namespace {

constexpr std::string_view kAttribute = "ce-";
constexpr std::string_view kContentType = "content-type";

bool same(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool encoded =
        text[at] == '%' && at + 2 < text.size() && digit(text[at + 1]) >= 0 && digit(text[at + 2]) >= 0;
    out += encoded ? static_cast<char>(digit(text[at + 1]) * 16 + digit(text[at + 2])) : text[at];
    if (encoded) at += 2;
  }
  return out;
}

void add(rd_kafka_headers_t* headers, std::string_view name, std::string_view value) {
  if (rd_kafka_header_add(headers, name.data(), static_cast<ssize_t>(name.size()), value.empty() ? "" : value.data(),
                          static_cast<ssize_t>(value.size())) != RD_KAFKA_RESP_ERR_NO_ERROR)
    throw std::bad_alloc();
}

}  // namespace

Headers headers_of(const tide_message& event) {
  const auto all = headers(event);
  Headers made(rd_kafka_headers_new(all.size() + 1), rd_kafka_headers_destroy);
  if (!made) throw std::bad_alloc();
  const bool is_cloudevent =
      std::any_of(all.begin(), all.end(), [](const tide_header& h) { return view(h.name) == "ce-specversion"; });
  for (const auto& header : all) {
    const auto name = view(header.name);
    const auto value = view(header.value);
    if (is_cloudevent && name == "ce-datacontenttype")
      add(made.get(), kContentType, percent_decoded(value));
    else if (is_cloudevent && name.starts_with(kAttribute))
      add(made.get(), "ce_" + std::string(name.substr(kAttribute.size())), percent_decoded(value));
    else
      add(made.get(), same(name, kContentType) ? kContentType : name, value);
  }
  add(made.get(), kEventId, view(event.key));
  return made;
}

std::optional<std::string> why_unsendable(const tide_message& event, std::string_view topic) {
  if (!is_topic(topic))
    return "'" + std::string(topic) + "' is no topic's name: letters, digits, '.', '_' and '-' make one, at most 249";
  for (const auto& header : headers(event))
    if (same(view(header.name), kEventId))
      return "the event's header '" + std::string(view(header.name)) + "' can't be sent: the relay sets it itself";
  return std::nullopt;
}

}  // namespace tide::kafka
