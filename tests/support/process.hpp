// Child processes, temporary folders and free ports for tests. Whatever a test starts here ends with the test.
// Threads: each object belongs to one thread. Start processes from a thread that outlives them: Linux ends them
// when the thread that started them ends.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace tide::test {

using std::chrono::milliseconds;

// A new empty folder, removed with all that it holds.
class TempDir {
 public:
  explicit TempDir(std::string_view prefix = "tide-test");
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// A loopback TCP port that nothing listens on. Outside the kernel's range for outgoing connections, so that a
// client which retries a stopped server can't be given the server's own port.
std::uint16_t free_port();

// Polls until `condition()` holds; false when the time is up. For conditions that nothing announces.
template <typename Condition>
bool eventually(milliseconds timeout, Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

// Changes to the environment that a child inherits: a value sets the variable, nullopt removes it.
using Environment = std::map<std::string, std::optional<std::string>>;

struct ProcessOptions {
  Environment env = {};
  std::string user = {};                  // run as this user; only root can
  std::filesystem::path cwd = {};         // empty: inherited
  std::filesystem::path output = {};      // both streams are appended here; empty: captured, see out() and err()
  std::optional<std::string> input = {};  // standard input; nullopt: /dev/null
};

// One child process. The destructor ends it: SIGTERM, then SIGKILL after a grace of 5 s.
class Process {
 public:
  // argv[0] is looked up in PATH. Throws when it can't be executed.
  explicit Process(std::vector<std::string> argv, ProcessOptions options = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  bool running() { return !wait(milliseconds(0)); }

  // Does nothing once the process was waited for: its pid may be another's by then.
  void kill(int signal);

  // The exit code, 128 + signal for a process that a signal ended, nullopt when the time is up.
  std::optional<int> wait(milliseconds timeout);

  // SIGTERM, and SIGKILL when that took longer than `grace`. Returns the exit code as wait() does.
  int terminate(milliseconds grace = milliseconds(5000));

  // What the process wrote so far; after wait() succeeded, all that it wrote. Empty where `output` names a file.
  std::string out() const;
  std::string err() const;

  // Waits until `text` has appeared on either stream; false when the time is up or both were closed without it.
  bool wait_for_output(std::string_view text, milliseconds timeout);

 private:
  void read_streams(const std::stop_token& stop, int out_fd, int err_fd, int in_fd, std::string input);

  std::string name_;
  pid_t pid_ = -1;
  int pidfd_ = -1;
  std::optional<int> exit_code_;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::string out_;
  std::string err_;
  bool closed_ = false;
  std::jthread reader_;
};

struct RunResult {
  int exit_code = 0;
  std::string out;
  std::string err;
};

// Runs a command to its end. Throws when it can't be executed or takes longer than `timeout`.
RunResult run(const std::vector<std::string>& argv, const Environment& env = {}, const std::string& input = {},
              milliseconds timeout = std::chrono::seconds(120));

// Whether every thread of the process is stopped: a SIGSTOP takes effect on one after the other.
bool stands_still(pid_t pid);

// An environment variable's value, empty when it is not set.
std::string variable(const char* name);

// Finds an executable: the file that the environment variable names, else `name` in PATH, else in `folders`.
// Throws with what to install or set when there is none.
std::filesystem::path find_program(const char* name_variable, std::string_view name,
                                   const std::vector<std::filesystem::path>& folders);

}  // namespace tide::test
