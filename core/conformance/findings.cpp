#include "conformance/findings.hpp"

#include <unistd.h>

#include <atomic>

#include "base/value.hpp"

namespace tide::conformance {

namespace {

std::atomic<int> faults = 0;
constexpr int kMostFaults = 5;  // one fault often shows in every message

void say(std::string_view tag, const std::string& text) {
  const std::string line = std::string(tag) + printable(text, 2000) + '\n';
  [[maybe_unused]] const auto written = ::write(STDOUT_FILENO, line.data(), line.size());  // at once and whole
}

}  // namespace

void broken(const char* rule, const std::string& text) {
  if (++faults <= kMostFaults) say(kBroken, (*rule == '\0' ? std::string() : std::string(rule) + ": ") + text);
}

void skipped(const std::string& why) {
  say(kSkipped, why);
}

void note(const std::string& text) {
  say(kNote, text);
}

bool any_broken() {
  return faults > 0;
}

}  // namespace tide::conformance
