// SPDX-License-Identifier: Apache-2.0
#include "stream_shape.hpp"

#include <algorithm>

#include "tide/sink.h"

namespace tide::redis {
namespace {

bool is_unknown(char c) {
  return c == TIDE_UNKNOWN || c == TIDE_UNKNOWN_TOKENS;
}

}  // namespace

StreamShape::StreamShape(std::string_view text)
    : text_(text),
      prefix_(text.begin(), std::find_if(text.begin(), text.end(), is_unknown)),
      suffix_(std::find_if(text.rbegin(), text.rend(), is_unknown).base(), text.end()),
      counts_(count(text)) {}

StreamShape::Counts StreamShape::count(std::string_view text) {
  Counts counts{};
  for (const char c : text)
    if (const auto which = kSeparators.find(c); which != std::string_view::npos) ++counts.at(which);
  return counts;
}

bool StreamShape::takes(std::string_view stream) const {
  if (!varies()) return stream == text_;
  return stream.size() >= prefix_.size() + suffix_.size() && stream.starts_with(prefix_) && stream.ends_with(suffix_) &&
         count(stream) == counts_;
}

// Redis hashes what stands in the first braces, where something does, else the whole key.
std::string key_beside(std::string_view stream, std::string_view pipeline, std::string_view what) {
  const auto open = stream.find('{');
  const auto close = open == std::string_view::npos ? open : stream.find('}', open + 1);
  const bool tagged = close != std::string_view::npos && close > open + 1;
  std::string key(tagged ? stream : std::string_view{});
  if (!tagged) (key += '{').append(stream) += '}';
  ((key += ":tide:").append(pipeline) += ':').append(what);
  return key;
}

}  // namespace tide::redis
