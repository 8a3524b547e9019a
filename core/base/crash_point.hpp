// Places where the fault tests end the process, as a power cut would. Nothing at all unless compiled with
// TIDE_CRASH_POINTS, as only the tests' own program is. Any thread.
#pragma once

#ifdef TIDE_CRASH_POINTS
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <string_view>
#endif

namespace tide {

#ifdef TIDE_CRASH_POINTS
// TIDE_CRASH_AT="name:N" kills the process at the N-th pass of that point.
inline void crash_point(std::string_view name) {
  static const char* const variable = std::getenv("TIDE_CRASH_AT");
  static std::atomic<long> passes = 0;
  if (variable == nullptr) return;
  const std::string_view wanted(variable);
  const auto colon = wanted.find(':');
  if (colon == std::string_view::npos || wanted.substr(0, colon) != name) return;
  if (++passes != std::atol(variable + colon + 1)) return;
  ::kill(::getpid(), SIGKILL);
  while (true) ::pause();
}
#else
inline void crash_point(const char* /*name*/) {}
#endif

}  // namespace tide
