// SPDX-License-Identifier: Apache-2.0
#include "envelope.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>

namespace tide::envelope {
namespace {

// First in the line, so that whoever looks for keys need not read on.
constexpr std::string_view kBegin = R"({"key":)";

void append_time(std::string& out, std::int64_t microseconds) {
  using namespace std::chrono;
  const sys_time<std::chrono::microseconds> at{std::chrono::microseconds(microseconds)};
  const auto second = floor<seconds>(at);
  const std::time_t time = system_clock::to_time_t(second);
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  std::array<char, 64> text{};
  const auto size = std::strftime(text.data(), text.size(), "%FT%T", &parts);
  std::array<char, 16> fraction{};
  std::snprintf(fraction.data(), fraction.size(), ".%06dZ", static_cast<int>((at - second).count()));
  out.append(text.data(), size).append(fraction.data());
}

}  // namespace

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      std::array<char, 8> code{};
      std::snprintf(code.data(), code.size(), "\\u%04x", static_cast<unsigned>(c));
      out += code.data();
    } else {
      out += c;
    }
  }
  out += '"';
}

// JSON has a line end only between its tokens, where a space will do.
void append_json(std::string& out, std::string_view json) {
  for (std::size_t at = 0; at < json.size();) {
    const auto end = std::min(json.find_first_of("\r\n", at), json.size());
    out += json.substr(at, end - at);
    if (end < json.size()) out += ' ';
    at = end + 1;
  }
}

void append(std::string& out, const tide_message& event) {
  out += kBegin;
  append_quoted(out, view(event.key));
  out += R"(,"op":)";
  append_quoted(out, view(event.op));
  out += R"(,"outbox":)";
  append_quoted(out, view(event.outbox));
  out += R"(,"stream_table":)";
  append_quoted(out, view(event.stream_table));
  out += R"(,"id":)" + std::to_string(event.outbox_id) + R"(,"created_at":")";
  append_time(out, event.created_at_us);
  out += R"(","headers":{)";
  bool first = true;
  for (const auto& [name, value] : headers(event)) {
    if (!first) out += ',';
    first = false;
    append_quoted(out, view(name));
    out += ':';
    append_quoted(out, view(value));
  }
  out += R"(},"payload":)";
  append_json(out, view(event.payload));
  out += '}';
}

// Every part of an object lacks a bracket that it opened.
bool is_whole(std::string_view line) {
  std::size_t open = 0;
  bool quoted = false;
  for (std::size_t at = 0; at < line.size(); ++at) {
    const char c = line[at];
    if (quoted) {
      if (c == '\\') ++at;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      ++open;
    } else if (c == '}' || c == ']') {
      if (open == 0) return false;
      --open;
    }
  }
  return open == 0 && !quoted && line.ends_with("}\n");
}

std::string_view quoted_key(std::string_view text) {
  if (!text.starts_with(kBegin) || text.substr(kBegin.size(), 1) != "\"") return {};
  text.remove_prefix(kBegin.size());
  for (std::size_t at = 1; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == '"') {
      return text.substr(0, at + 1);
    }
  }
  return {};
}

}  // namespace tide::envelope
