#include "config/place.hpp"

#include <algorithm>
#include <numeric>

#include "base/value.hpp"

namespace tide {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t change = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, change});
    }
  }
  return row.back();
}

}  // namespace

std::string place(const std::string& file, int line, const std::string& owner, std::string_view key) {
  std::string text = file;
  if (!file.empty() && line > 0) text += ":" + std::to_string(line);
  if (!text.empty() && !(owner.empty() && key.empty())) text += ": ";
  text += owner;
  if (!key.empty()) {
    if (!owner.empty()) text += ", ";
    text += "key '" + printable(key) + "'";
  }
  return text;
}

std::string unknown_key(std::string_view key, const std::vector<std::string>& known) {
  return std::string("unknown key") + (key.empty() ? " ''" : "") + did_you_mean(key, known);
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& known) {
  const std::string* best = nullptr;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const auto& candidate : known) {
    // The length alone rules most out; a hostile, huge key costs nothing.
    if (word.size() >= candidate.size() + best_distance) continue;
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best = &candidate;
      best_distance = distance;
    }
  }
  return best == nullptr ? "" : "; did you mean '" + *best + "'?";
}

}  // namespace tide
