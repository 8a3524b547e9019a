// SPDX-License-Identifier: Apache-2.0
//
// Ends system calls of this thread that block past a deadline. For cnats's TLS handshake, which blocks on its socket
// without one. From the deadline on, the thread gets SIGURG again and again, whose handler does nothing: a call that
// blocks returns EINTR. Nobody else uses that signal, and its default is to be ignored.
#pragma once

#include <csignal>
#include <ctime>

#include <chrono>

namespace tide::nats {

class CallLimit {
 public:
  explicit CallLimit(std::chrono::steady_clock::time_point deadline);
  ~CallLimit();
  CallLimit(const CallLimit&) = delete;
  CallLimit& operator=(const CallLimit&) = delete;

 private:
  timer_t timer_{};
  bool armed_ = false;
  sigset_t mask_{};  // of this thread, as it was
};

}  // namespace tide::nats
