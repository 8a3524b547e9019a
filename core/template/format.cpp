#include "template/format.hpp"

#include <strings.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <utility>

#include "base/value.hpp"

namespace tide {
namespace {

constexpr std::string_view kAttribute = "ce-";  // prefix of a header that is a CloudEvents attribute
constexpr std::string_view kContentType = "Content-Type";

bool same_header(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

void remove(Headers& headers, std::string_view name) {
  std::erase_if(headers, [&](const auto& header) { return same_header(header.first, name); });
}

std::string json_string(std::string_view text) {
  std::string json;
  append_json_string(json, text);
  return json;
}

// RFC 3339, UTC, as precise as PostgreSQL keeps it.
std::string timestamp(std::int64_t microseconds) {
  using namespace std::chrono;
  const sys_time<std::chrono::microseconds> time{std::chrono::microseconds(microseconds)};
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(time - day);
  std::array<char, 64> text{};
  const int size =
      std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02ld:%02ld:%02ld.%06ldZ", int(date.year()),
                    unsigned(date.month()), unsigned(date.day()), long(clock.hours().count()),
                    long(clock.minutes().count()), long(clock.seconds().count()), long(clock.subseconds().count()));
  return {text.data(), static_cast<std::size_t>(size)};
}

// As the NATS protocol binding of CloudEvents says.
std::string percent_encoded(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte >= 0x7f || c == '"' || c == '%') {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 0xf];
    } else {
      out += c;
    }
  }
  return out;
}

// The event's header is an attribute that the application adds to the CloudEvent: "ce-subject".
bool is_attribute(std::string_view header) {
  if (!header.starts_with(kAttribute) || header.size() == kAttribute.size()) return false;
  header.remove_prefix(kAttribute.size());
  return header != "data" && std::all_of(header.begin(), header.end(),
                                         [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

// The event's headers may not say what the relay says.
void remove_reserved(Headers& headers) {
  static constexpr std::array<std::string_view, 7> kReserved = {
      "ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time", "ce-datacontenttype", kContentType};
  std::erase_if(headers, [](const auto& header) {
    if (header.first.empty() || (header.first[0] | 0x20) != 'c') return false;
    return std::any_of(kReserved.begin(), kReserved.end(), [&](auto name) { return same_header(header.first, name); });
  });
}

// The column's value as JSON; empty: none.
std::string column_value(const Event& event, std::string_view id, const DebeziumField& field, EventJson& json) {
  using Found = JsonFields::Found;
  if (field.column == "id") return json_string(id);
  std::string_view value;
  const auto found = field.header.find(event, json, value);
  if (found == Found::string) return json_string(value);
  if (found == Found::number || found == Found::boolean || found == Found::nested) return std::string(value);
  if (field.column == "aggregatetype") return json_string(event.stream_table);
  if (field.column == "type") return json_string(event.op);
  if (field.column == "created_at") return json_string(timestamp(event.created_at_us));
  return {};
}

}  // namespace

void format_cloudevent_binary(const Event& event, std::string_view id, const CloudEventTexts& texts, Headers& headers) {
  remove_reserved(headers);
  for (auto& [name, value] : headers) {
    if (is_attribute(name)) value = percent_encoded(value);
  }
  headers.emplace_back("ce-specversion", "1.0");
  headers.emplace_back("ce-id", percent_encoded(id));
  headers.emplace_back("ce-source", percent_encoded(texts.source));
  headers.emplace_back("ce-type", percent_encoded(texts.type));
  headers.emplace_back("ce-time", timestamp(event.created_at_us));
  headers.emplace_back("ce-datacontenttype", "application/json");
}

void format_cloudevent_structured(const Event& event, std::string_view id, const CloudEventTexts& texts,
                                  Headers& headers, std::string& payload) {
  remove_reserved(headers);
  payload = R"({"specversion":"1.0","id":)";
  append_json_string(payload, id);
  payload += R"(,"source":)";
  append_json_string(payload, texts.source);
  payload += R"(,"type":)";
  append_json_string(payload, texts.type);
  payload += R"(,"time":")" + timestamp(event.created_at_us) + R"(","datacontenttype":"application/json")";
  std::erase_if(headers, [&](const auto& header) {
    if (!is_attribute(header.first)) return false;
    payload += ",\"" + header.first.substr(kAttribute.size()) + "\":";
    append_json_string(payload, header.second);
    return true;
  });
  payload += R"(,"data":)";
  payload += event.payload;
  payload += '}';
  headers.emplace_back(kContentType, "application/cloudevents+json");
}

void format_debezium(const Event& event, std::string_view id, const std::vector<DebeziumField>& fields, EventJson& json,
                     Headers& headers, std::string& payload) {
  const auto add = [&](std::string_view name, std::string value) {
    remove(headers, name);
    headers.emplace_back(name, std::move(value));
  };
  add("id", json_string(id));
  std::string envelope;
  for (const auto& field : fields) {
    auto value = column_value(event, id, field, json);
    if (field.in_envelope) {
      envelope += ',';
      append_json_string(envelope, field.alias);
      envelope += ':';
      envelope += value.empty() ? "null" : value;
    } else if (!value.empty()) {
      add(field.alias, std::move(value));
    }
  }
  if (envelope.empty()) return;
  payload = R"({"payload":)";
  payload += event.payload;
  payload += envelope;
  payload += '}';
}

}  // namespace tide
