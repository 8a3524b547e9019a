// SPDX-License-Identifier: Apache-2.0
#include "call_limit.hpp"

#include <unistd.h>

#include <algorithm>

namespace tide::nats {
namespace {

using std::chrono::nanoseconds;

// The first signal may come before the call that it should end.
constexpr nanoseconds repeat = std::chrono::milliseconds(50);

void do_nothing(int) {}

// False where the program has a use of its own for the signal.
bool install_handler() {
  struct sigaction present {};
  if (::sigaction(SIGURG, nullptr, &present) != 0) return false;
  if ((present.sa_flags & SA_SIGINFO) != 0 || (present.sa_handler != SIG_DFL && present.sa_handler != SIG_IGN))
    return false;
  struct sigaction ours {};
  ours.sa_handler = do_nothing;  // without SA_RESTART, so that calls return
  return ::sigaction(SIGURG, &ours, nullptr) == 0;
}

timespec spec(nanoseconds time) {
  constexpr std::int64_t second = 1'000'000'000;
  return {static_cast<time_t>(time.count() / second), static_cast<long>(time.count() % second)};
}

}  // namespace

CallLimit::CallLimit(std::chrono::steady_clock::time_point deadline) {
  static const bool installed = install_handler();
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = SIGURG;
  event._sigev_un._tid = ::gettid();
  if (!installed || ::timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0) return;
  armed_ = true;
  sigset_t ours;
  ::sigemptyset(&ours);
  ::sigaddset(&ours, SIGURG);
  ::pthread_sigmask(SIG_UNBLOCK, &ours, &mask_);
  const auto left = std::max(nanoseconds(deadline - std::chrono::steady_clock::now()), nanoseconds(1));
  const itimerspec times{spec(repeat), spec(left)};
  ::timer_settime(timer_, 0, &times, nullptr);
}

CallLimit::~CallLimit() {
  if (!armed_) return;
  ::timer_delete(timer_);
  ::pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
}

}  // namespace tide::nats
