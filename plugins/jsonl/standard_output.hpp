// SPDX-License-Identifier: Apache-2.0
//
// Lines to standard output, without ever waiting for a reader that is slow. One instance of the process has it at a
// time. The relay serialises the calls.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace tide::jsonl {

class StandardOutput {
 public:
  StandardOutput();  // throws Error when another instance has it
  ~StandardOutput();
  StandardOutput(const StandardOutput&) = delete;
  StandardOutput& operator=(const StandardOutput&) = delete;

  [[nodiscard]] bool full() const { return waiting_.size() - sent_ > kMost; }
  void append(std::string_view lines) { waiting_ += lines; }
  // Bytes that were ever appended, and that were ever written.
  [[nodiscard]] std::uint64_t appended() const { return base_ + waiting_.size(); }
  [[nodiscard]] std::uint64_t written() const { return base_ + sent_; }

  // Writes what can be written, waiting for that at most so long. Throws Error.
  void write(std::chrono::milliseconds timeout);
  // The line that is half written, if there is one, within the time.
  void finish_line(std::chrono::milliseconds timeout);

 private:
  void forget_written();

  static constexpr std::size_t kMost = 1u << 20;

  std::string waiting_;
  std::size_t sent_ = 0;  // of it
  std::uint64_t base_ = 0;
};

}  // namespace tide::jsonl
