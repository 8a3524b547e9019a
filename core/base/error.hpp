// Errors for people. Immutable values; any thread.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace tide {

// Something failed while running. The text says what was tried, on what, what the other side said, what to do next.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// One fault in the configuration: where it is (pipeline, key, and line for a file) and what is wrong with it.
struct Problem {
  std::string where;
  std::string text;
};

using Problems = std::vector<Problem>;

// All faults of one configuration, told at once.
class ConfigError : public Error {
 public:
  explicit ConfigError(Problems problems) : Error(describe(problems)), problems_(std::move(problems)) {}
  [[nodiscard]] const Problems& problems() const { return problems_; }

 private:
  static std::string describe(const Problems& problems) {
    std::string text;
    for (const auto& p : problems) {
      if (!text.empty()) text += '\n';
      if (!p.where.empty()) text += p.where + ": ";
      text += p.text;
    }
    return text;
  }
  Problems problems_;
};

}  // namespace tide
