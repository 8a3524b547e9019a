// SPDX-License-Identifier: Apache-2.0
#include "subject.hpp"

#include <algorithm>

#include "tide/sink.h"

namespace tide::nats {
namespace {

// Cuts the first token off rest. The last token leaves rest empty.
std::string_view next_token(std::string_view& rest) {
  const auto dot = rest.find('.');
  const auto token = rest.substr(0, dot);
  rest = dot == std::string_view::npos ? std::string_view{} : rest.substr(dot + 1);
  return token;
}

}  // namespace

bool is_publishable(std::string_view subject) {
  char before = '.';
  for (const char c : subject) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '\x7f' || c == '*' || c == '>') return false;
    if (c == '.' && before == '.') return false;
    before = c;
  }
  return before != '.';
}

std::string filter_of(std::string_view subject_template) {
  std::string filter;
  for (std::string_view rest = subject_template; !rest.empty();) {
    const auto token = next_token(rest);
    if (token.find(TIDE_UNKNOWN_TOKENS) != std::string_view::npos) return filter + '>';
    filter += token.find(TIDE_UNKNOWN) == std::string_view::npos ? token : "*";
    if (!rest.empty()) filter += '.';
  }
  return filter;
}

bool is_fixed(std::string_view filter) {
  return filter.find_first_of("*>") == std::string_view::npos;
}

// A variable's value may have dots after all, where it is a name: what follows the first one is open.
std::string common_filter(const std::vector<std::string>& filters) {
  const std::string& first = filters.front();
  const bool same = std::all_of(filters.begin(), filters.end(), [&](const auto& filter) { return filter == first; });
  if (same && is_fixed(first)) return first;
  std::string common;
  for (std::size_t begin = 0, dot = first.find('.'); dot != std::string::npos;
       begin = dot + 1, dot = first.find('.', begin)) {
    const std::string_view tokens = std::string_view(first).substr(0, dot + 1);
    const bool fixed = tokens.find('*') == std::string_view::npos;
    if (!fixed || !std::all_of(filters.begin(), filters.end(), [&](const auto& f) { return f.starts_with(tokens); }))
      break;
    common = tokens;
  }
  return common + '>';
}

bool overlaps(std::string_view filter_a, std::string_view filter_b) {
  while (!filter_a.empty() && !filter_b.empty()) {
    const auto a = next_token(filter_a);
    const auto b = next_token(filter_b);
    if (a == ">" || b == ">") return true;
    if (a != b && a != "*" && b != "*") return false;
  }
  return filter_a.empty() && filter_b.empty();
}

bool covers(std::string_view wide, std::string_view narrow) {
  while (!wide.empty() && !narrow.empty()) {
    const auto w = next_token(wide);
    const auto n = next_token(narrow);
    if (w == ">") return true;
    if (n == ">" || (w != n && w != "*")) return false;
  }
  return wide.empty() && narrow.empty();
}

}  // namespace tide::nats
