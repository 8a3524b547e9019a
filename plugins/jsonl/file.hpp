// SPDX-License-Identifier: Apache-2.0
//
// The file that lines are appended to, with those that were put aside before it: PATH, and PATH.1, PATH.2, … in the
// order in which they were filled. One process has it at a time. The relay serialises the calls.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "settings.hpp"
#include "tide/sink.hpp"

namespace tide::jsonl {

class File {
 public:
  // Opens and locks it. Throws Error.
  explicit File(const Settings& settings);
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  // Where the next line will stand: the file's number and the offset in it, as one number that only grows.
  [[nodiscard]] std::uint64_t position() const { return number_ << kOffsetBits | size_; }
  // Whether that can have been a position of these files.
  [[nodiscard]] bool reaches(std::uint64_t position) const;

  // What a crash left of a last line is cut off where it stands after the position, and ended where it does not, or
  // nothing is known (0): then it may be somebody else's.
  void mend(std::uint64_t position);

  using Visit = std::function<void(std::string_view line, std::uint64_t end)>;
  void read_after(std::uint64_t position, const Visit& visit) const;

  // Appends whole lines: all of them, or none and an Error.
  void append(std::string_view lines);
  // So that what was appended survives the machine. What can't be synced is taken back.
  void sync();

  // Whether another line is too much, after what waits to be appended.
  [[nodiscard]] bool full(std::size_t waiting, std::size_t line) const;
  [[nodiscard]] bool old() const;
  void rotate();

  // Throws Error::reconnect when path is another file by now, or none.
  void check_place() const;

 private:
  static constexpr int kOffsetBits = 40;

  void open(int more_flags);
  void sync_folder() const;
  void remove_beyond_keep() const;
  [[nodiscard]] std::string aside(std::uint64_t number) const { return settings_.path + "." + std::to_string(number); }
  [[nodiscard]] std::string cannot(const std::string& what) const;  // "cannot WHAT PATH: ERRNO"

  const Settings settings_;
  std::uint64_t number_;  // of the file that is open; those aside have lower ones
  int fd_ = -1;
  std::uint64_t size_ = 0;
  std::uint64_t synced_ = 0;
  std::chrono::system_clock::time_point born_;
};

}  // namespace tide::jsonl
