// SPDX-License-Identifier: Apache-2.0
#include "standard_output.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>

#include "tide/sink.hpp"

namespace tide::jsonl {
namespace {

// Of the process, as standard output is.
std::atomic<bool> taken = false;
std::atomic<bool> torn = false;  // its last line has no end

}  // namespace

StandardOutput::StandardOutput() {
  if (taken.exchange(true))
    throw Error::fatal("another pipeline of this relay writes to standard output: give one of them a file");
  if (torn.exchange(false)) waiting_.push_back('\n');
}

StandardOutput::~StandardOutput() {
  torn = sent_ != 0 && waiting_[sent_ - 1] != '\n';
  taken = false;
}

void StandardOutput::write(std::chrono::milliseconds timeout) {
  const auto until = std::chrono::steady_clock::now() + timeout;
  while (sent_ < waiting_.size()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    pollfd out{STDOUT_FILENO, POLLOUT, 0};
    const int ready = ::poll(&out, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (ready == 0 || (ready < 0 && errno == EINTR)) return forget_written();
    // A pipe that is ready takes this much without waiting, and as one piece. Whole lines where they are that short.
    std::string_view piece = std::string_view(waiting_).substr(sent_, PIPE_BUF);
    if (const auto end = piece.rfind('\n'); end != std::string_view::npos) piece = piece.substr(0, end + 1);
    const auto got = ::write(STDOUT_FILENO, piece.data(), piece.size());
    if (got < 0) {
      if (errno == EAGAIN || errno == EINTR) return forget_written();
      throw Error::retry(std::string("cannot write to standard output: ") + std::strerror(errno), errno);
    }
    sent_ += static_cast<std::size_t>(got);
  }
  base_ += sent_;
  sent_ = 0;
  torn = false;
  waiting_.clear();
}

// What a reader that is slow never lets come to an end must not grow. The last byte stays: it tells whether a line is
// torn.
void StandardOutput::forget_written() {
  if (sent_ <= kMost) return;
  waiting_.erase(0, sent_ - 1);
  base_ += sent_ - 1;
  sent_ = 1;
}

void StandardOutput::finish_line(std::chrono::milliseconds timeout) {
  if (sent_ == 0 || waiting_[sent_ - 1] == '\n') return;
  waiting_.resize(waiting_.find('\n', sent_) + 1);
  write(timeout);
}

}  // namespace tide::jsonl
