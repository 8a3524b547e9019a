// SPDX-License-Identifier: Apache-2.0
#include "file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>
#include <vector>

namespace tide::jsonl {
namespace {

namespace fs = std::filesystem;
using std::chrono::system_clock;

// What passes by itself or when somebody makes room; the rest is configuration or rights.
bool passes(int error) {
  return error == ENOSPC || error == EDQUOT || error == EFBIG || error == EIO || error == EINTR || error == EAGAIN ||
         error == EMFILE || error == ENFILE || error == ENOMEM || error == ESTALE || error == ETIMEDOUT;
}

std::string advice(int error) {
  switch (error) {
    case ENOENT:
      return ". Create the folder: it is not made, lest a file system that is not mounted be taken for an empty one";
    case EACCES:
    case EPERM:
      return ". Give the relay's user the right to write there";
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return ". Make room; rotate_bytes with keep bounds what the files take";
    default:
      return {};
  }
}

[[noreturn]] void fail(const std::string& text, int error) {
  if (passes(error)) throw Error::retry(text + advice(error), error);
  throw Error::fatal(text + advice(error), error);
}

// The numbers of the files that were put aside, in order.
std::vector<std::uint64_t> numbers_aside(const std::string& path) {
  std::vector<std::uint64_t> numbers;
  const fs::path file(path);
  const std::string prefix = file.filename().string() + ".";
  std::error_code none;
  for (fs::directory_iterator it(file.parent_path(), none), end; !none && it != end; it.increment(none)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(prefix)) continue;
    std::uint64_t number = 0;
    const char* const last = name.data() + name.size();
    const auto [stop, error] = std::from_chars(name.data() + prefix.size(), last, number);
    if (error == std::errc() && stop == last && number != 0 && number < 1u << 22) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

system_clock::time_point birth(int fd) {
  struct statx about {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &about) != 0 || (about.stx_mask & STATX_BTIME) == 0)
    return system_clock::now();  // a file system that does not tell: since it was opened, then
  return system_clock::from_time_t(about.stx_btime.tv_sec);
}

// The end of the last whole line.
std::uint64_t end_of_lines(int fd, std::uint64_t size) {
  std::array<char, 65536> block{};
  while (size > 0) {
    const auto from = size > block.size() ? size - block.size() : 0;
    const auto got = ::pread(fd, block.data(), size - from, static_cast<off_t>(from));
    if (got <= 0) return size;
    const std::string_view text(block.data(), static_cast<std::size_t>(got));
    if (const auto at = text.rfind('\n'); at != std::string_view::npos) return from + at + 1;
    size = from;
  }
  return 0;
}

}  // namespace

File::File(const Settings& settings) : settings_(settings), number_(1) {
  try {
    open(0);
    if (const auto aside = numbers_aside(settings_.path); !aside.empty()) number_ = aside.back() + 1;
  } catch (...) {
    if (fd_ >= 0) ::close(fd_);
    throw;
  }
}

File::~File() {
  ::close(fd_);
}

void File::open(int more_flags) {
  const char* const path = settings_.path.c_str();
  while (true) {
    // O_NONBLOCK, so that a pipe without a reader can't hold this up.
    fd_ = ::open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | more_flags, settings_.mode);
    if (fd_ < 0) fail(cannot("open"), errno);
    struct stat file {};
    struct stat there {};
    if (::fstat(fd_, &file) != 0) fail(cannot("look at"), errno);
    if (!S_ISREG(file.st_mode))
      throw Error::fatal("path '" + settings_.path + "' is no regular file. For standard output set it to -");
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) fail(cannot("lock"), errno);
      throw Error::retry("'" + settings_.path +
                         "' is in use by another pipeline or relay. Each needs a file of its own; one that only just "
                         "ended lets go of it");
    }
    // Its last holder may have put it aside between the two calls.
    if (::stat(path, &there) == 0 && there.st_ino == file.st_ino && there.st_dev == file.st_dev) {
      size_ = synced_ = static_cast<std::uint64_t>(file.st_size);
      if (size_ == 0) {  // new: exactly this mode, whatever the umask is
        if (::fchmod(fd_, settings_.mode) != 0) fail(cannot("set the mode of"), errno);
        sync_folder();
      }
      born_ = birth(fd_);
      return;
    }
    ::close(fd_);
    fd_ = -1;
  }
}

bool File::reaches(std::uint64_t position) const {
  return position >> kOffsetBits != 0 && position <= this->position();
}

void File::mend(std::uint64_t position) {
  struct stat file {};
  if (::fstat(fd_, &file) != 0) fail(cannot("look at"), errno);
  size_ = static_cast<std::uint64_t>(file.st_size);  // somebody may have been there since it was opened
  const auto end = end_of_lines(fd_, size_);
  if (end != size_) {
    if (reaches(position) && position <= (number_ << kOffsetBits | end)) {
      if (::ftruncate(fd_, static_cast<off_t>(end)) != 0) fail(cannot("cut a torn line off"), errno);
      size_ = end;
    } else {
      append("\n");
    }
  }
  // What a relay wrote that died since may not be on the disk yet, and will count as stored.
  if (settings_.sync && size_ != 0 && ::fdatasync(fd_) != 0) fail(cannot("sync"), errno);
  synced_ = size_;
}

void File::read_after(std::uint64_t position, const Visit& visit) const {
  auto numbers = numbers_aside(settings_.path);
  numbers.push_back(number_);
  for (const auto number : numbers) {
    if (number < position >> kOffsetBits) continue;
    const auto name = number == number_ ? settings_.path : aside(number);
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(name.c_str(), "re"), std::fclose);
    if (!file) {
      if (errno == ENOENT) continue;  // removed meanwhile, as `keep` says
      fail("cannot read '" + name + "': " + std::strerror(errno), errno);
    }
    std::uint64_t at = number == position >> kOffsetBits ? position & ((1ull << kOffsetBits) - 1) : 0;
    if (::fseeko(file.get(), static_cast<off_t>(at), SEEK_SET) != 0) fail("cannot read '" + name + "'", errno);
    char* line = nullptr;
    std::size_t capacity = 0;
    ssize_t got = 0;
    while ((got = ::getline(&line, &capacity, file.get())) > 0) {
      at += static_cast<std::uint64_t>(got);
      visit({line, static_cast<std::size_t>(got)}, number << kOffsetBits | at);
    }
    std::free(line);  // NOLINT: getline's
  }
}

void File::append(std::string_view lines) {
  std::size_t written = 0;
  while (written < lines.size()) {
    const auto got = ::write(fd_, lines.data() + written, lines.size() - written);
    if (got >= 0) {
      written += static_cast<std::size_t>(got);
      continue;
    }
    if (errno == EINTR) continue;
    const auto error = errno;
    const auto text = cannot("write to");
    // Should this fail, the next instance finds what is there, and mends it.
    if (::ftruncate(fd_, static_cast<off_t>(size_)) != 0) fail(text + " (and cannot take back a part of it)", error);
    fail(text, error);
  }
  size_ += written;
}

void File::sync() {
  if (!settings_.sync || synced_ == size_) return;
  if (::fdatasync(fd_) != 0) {
    const auto error = errno;
    const auto text = cannot("sync");
    // The system forgets what it could not write: after a second try that "succeeds" it may still be nowhere.
    if (::ftruncate(fd_, static_cast<off_t>(synced_)) == 0) size_ = synced_;
    fail(text, error);
  }
  synced_ = size_;
}

bool File::full(std::size_t waiting, std::size_t line) const {
  const auto limit = settings_.rotate_bytes == 0 ? 1ull << kOffsetBits : settings_.rotate_bytes;
  const auto size = size_ + waiting;
  return size != 0 && size + line > limit;
}

bool File::old() const {
  return settings_.rotate_age.count() != 0 && size_ != 0 && system_clock::now() - born_ >= settings_.rotate_age;
}

void File::rotate() {
  sync();
  const auto name = aside(number_);
  if (::rename(settings_.path.c_str(), name.c_str()) != 0) fail(cannot("rename to '" + name + "' the file"), errno);
  const int filled = fd_;  // locked until the new one is
  fd_ = -1;
  ++number_;
  try {
    open(O_EXCL);
  } catch (...) {
    if (fd_ < 0)
      fd_ = filled;
    else
      ::close(filled);
    throw;
  }
  ::close(filled);
  remove_beyond_keep();
}

void File::remove_beyond_keep() const {
  if (settings_.keep == 0) return;
  auto numbers = numbers_aside(settings_.path);
  for (const auto number : numbers) {
    if (number + static_cast<std::uint64_t>(settings_.keep) >= number_) break;
    if (::unlink(aside(number).c_str()) != 0 && errno != ENOENT) fail("cannot remove '" + aside(number) + "'", errno);
  }
}

void File::check_place() const {
  struct stat file {};
  struct stat there {};
  if (::fstat(fd_, &file) == 0 && ::stat(settings_.path.c_str(), &there) == 0 && file.st_ino == there.st_ino &&
      file.st_dev == there.st_dev)
    return;
  throw Error::reconnect("'" + settings_.path + "' was moved or removed by somebody else");
}

void File::sync_folder() const {
  if (!settings_.sync) return;
  const auto folder = fs::path(settings_.path).parent_path();
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool done = fd >= 0 && ::fsync(fd) == 0;
  const auto error = errno;
  if (fd >= 0) ::close(fd);
  // Some file systems have no such thing, and need none.
  if (!done && error != EINVAL && error != EACCES) fail("cannot sync the folder of '" + settings_.path + "'", error);
}

std::string File::cannot(const std::string& what) const {
  const char* const why = std::strerror(errno);
  return "cannot " + what + " '" + settings_.path + "': " + why;
}

}  // namespace tide::jsonl
