#include "process.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <set>
#include <sstream>
#include <system_error>
#include <utility>

namespace tide::test {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() { reset(); }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  void reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

struct Pipe {
  Fd read;
  Fd write;
  Pipe() {
    std::array<int, 2> fds{};
    if (::pipe2(fds.data(), O_CLOEXEC) != 0) fail("pipe");
    read = Fd(fds[0]);
    write = Fd(fds[1]);
  }
};

struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  std::string home;
};

User find_user(const std::string& name) {
  const passwd* entry = ::getpwnam(name.c_str());
  if (entry == nullptr) throw std::runtime_error("no user \"" + name + "\" on this machine");
  User user{entry->pw_uid, entry->pw_gid, std::vector<gid_t>(64), entry->pw_dir};
  int count = static_cast<int>(user.groups.size());
  ::getgrouplist(name.c_str(), user.gid, user.groups.data(), &count);
  user.groups.resize(static_cast<std::size_t>(std::min(count, 64)));
  return user;
}

std::vector<std::string> child_environment(const Environment& changes) {
  std::map<std::string, std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (equals != std::string_view::npos) result.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  for (const auto& [name, value] : changes) {
    if (value) {
      result[name] = *value;
    } else {
      result.erase(name);
    }
  }
  std::vector<std::string> lines;
  for (const auto& [name, value] : result) lines.push_back(name + "=" + value);
  return lines;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (auto& text : strings) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

int decode(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

TempDir::TempDir(std::string_view prefix) {
  std::string name = (std::filesystem::temp_directory_path() / prefix).string() + ".XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) fail("mkdtemp " + name);
  path_ = name;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::uint16_t free_port() {
  static std::mutex mutex;
  static std::mt19937 random(std::random_device{}());
  static std::set<std::uint16_t> given;  // to somebody who has not bound it yet, perhaps
  const std::lock_guard lock(mutex);
  std::uniform_int_distribution<int> ports(12000, 31999);
  for (int attempt = 0; attempt < 100; ++attempt) {
    const auto port = static_cast<std::uint16_t>(ports(random));
    if (given.contains(port)) continue;
    const Fd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (probe.get() < 0) fail("socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      given.insert(port);
      return port;
    }
  }
  throw std::runtime_error("found no free loopback port in 100 attempts");
}

Process::Process(std::vector<std::string> argv, ProcessOptions options) : name_(argv.at(0)) {
  // Everything that allocates happens before fork(): the child of a threaded process may only make system calls.
  const bool capture = options.output.empty();
  std::vector<std::string> env_strings;
  std::optional<User> user;
  if (!options.user.empty()) {
    user = find_user(options.user);
    options.env.try_emplace("HOME", user->home);
  }
  env_strings = child_environment(options.env);
  const auto arguments = pointers(argv);
  const auto environment = pointers(env_strings);
  const std::string cwd = options.cwd.string();

  std::optional<Pipe> in;
  std::optional<Pipe> out;
  std::optional<Pipe> err;
  Pipe failure;
  Fd file;
  Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (options.input) in.emplace();
  if (capture) {
    out.emplace();
    err.emplace();
  } else {
    file = Fd(::open(options.output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    if (file.get() < 0) fail("open " + options.output.string());
  }
  const int child_in = in ? in->read.get() : null.get();
  const int child_out = capture ? out->write.get() : file.get();
  const int child_err = capture ? err->write.get() : file.get();

  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) fail("fork");
  if (pid_ == 0) {
    const auto give_up = [&] {
      const int error = errno;
      [[maybe_unused]] const auto written = ::write(failure.write.get(), &error, sizeof error);
      ::_exit(127);
    };
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    for (const int ignored : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD}) ::signal(ignored, SIG_DFL);
    if (::dup2(child_in, 0) < 0 || ::dup2(child_out, 1) < 0 || ::dup2(child_err, 2) < 0) give_up();
#ifdef SYS_close_range
    constexpr unsigned close_on_exec = 1U << 2;  // CLOSE_RANGE_CLOEXEC
    ::syscall(SYS_close_range, 3U, ~0U, close_on_exec);
#endif
    if (user && (::setgroups(user->groups.size(), user->groups.data()) != 0 || ::setgid(user->gid) != 0 ||
                 ::setuid(user->uid) != 0)) {
      give_up();
    }
    if (!cwd.empty() && ::chdir(cwd.c_str()) != 0) give_up();
    // After setuid(), which clears it.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    ::execvpe(arguments[0], arguments.data(), environment.data());
    give_up();
  }

  failure.write.reset();
  int error = 0;
  ssize_t got = 0;
  do {
    got = ::read(failure.read.get(), &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  if (got == static_cast<ssize_t>(sizeof error)) {
    ::waitpid(pid_, nullptr, 0);
    errno = error;
    fail("run " + name_);
  }
  pidfd_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  if (pidfd_ < 0) {
    const int saved = errno;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    errno = saved;
    fail("pidfd_open");
  }

  if (capture || options.input) {
    reader_ = std::jthread([this, out_fd = capture ? out->read.release() : -1,
                            err_fd = capture ? err->read.release() : -1, in_fd = in ? in->write.release() : -1,
                            input = options.input.value_or("")](const std::stop_token& stop) mutable {
      read_streams(stop, out_fd, err_fd, in_fd, std::move(input));
    });
  } else {
    closed_ = true;
  }
}

Process::~Process() {
  terminate();
  reader_.request_stop();
  if (reader_.joinable()) reader_.join();
  ::close(pidfd_);
}

void Process::read_streams(const std::stop_token& stop, int out_fd, int err_fd, int in_fd, std::string input) {
  // A child that closed its standard input must not end the test.
  sigset_t pipe_signal;
  ::sigemptyset(&pipe_signal);
  ::sigaddset(&pipe_signal, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &pipe_signal, nullptr);

  Fd out(out_fd);
  Fd err(err_fd);
  Fd in(in_fd);
  if (in.get() >= 0) ::fcntl(in.get(), F_SETFL, O_NONBLOCK);
  std::size_t sent = 0;
  std::array<char, 65536> buffer{};
  // Once stopped, take what is there without waiting: a grandchild may keep the pipe open.
  while (out.get() >= 0 || err.get() >= 0 || in.get() >= 0) {
    if (in.get() >= 0 && sent == input.size()) {
      in.reset();
      continue;
    }
    std::array<pollfd, 3> fds{pollfd{out.get(), POLLIN, 0}, pollfd{err.get(), POLLIN, 0}, pollfd{in.get(), POLLOUT, 0}};
    const bool stopping = stop.stop_requested();  // before the look: what the child wrote at last is there by then
    const int ready = ::poll(fds.data(), fds.size(), stopping ? 0 : 20);
    if (ready < 0 && errno != EINTR) break;
    if (ready == 0 && stopping) break;
    if (ready <= 0) continue;
    if (fds[2].revents != 0) {
      const auto count = ::write(in.get(), input.data() + sent, input.size() - sent);
      if (count >= 0) {
        sent += static_cast<std::size_t>(count);
      } else if (errno != EAGAIN && errno != EINTR) {
        in.reset();
      }
    }
    for (std::size_t i = 0; i < 2; ++i) {
      if (fds[i].revents == 0) continue;
      Fd& fd = i == 0 ? out : err;
      const auto count = ::read(fd.get(), buffer.data(), buffer.size());
      if (count > 0) {
        const std::lock_guard lock(mutex_);
        (i == 0 ? out_ : err_).append(buffer.data(), static_cast<std::size_t>(count));
        changed_.notify_all();
      } else if (count == 0 || errno != EINTR) {
        fd.reset();
      }
    }
  }
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

void Process::kill(int signal) {
  if (!exit_code_) ::syscall(SYS_pidfd_send_signal, pidfd_, signal, nullptr, 0);
}

std::optional<int> Process::wait(milliseconds timeout) {
  if (exit_code_) return exit_code_;
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd fd{pidfd_, POLLIN, 0};
    const int ready = ::poll(&fd, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (ready > 0) break;
    if (ready == 0) return std::nullopt;
    if (errno != EINTR) fail("poll");
  }
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0) {
    if (errno != EINTR) fail("waitpid");
  }
  exit_code_ = decode(status);
  if (reader_.joinable()) {
    reader_.request_stop();
    reader_.join();
  }
  return exit_code_;
}

int Process::terminate(milliseconds grace) {
  if (exit_code_) return *exit_code_;
  kill(SIGTERM);
  kill(SIGCONT);
  if (const auto code = wait(grace)) return *code;
  kill(SIGKILL);
  return wait(std::chrono::hours(1)).value_or(-1);
}

std::string Process::out() const {
  const std::lock_guard lock(mutex_);
  return out_;
}

std::string Process::err() const {
  const std::lock_guard lock(mutex_);
  return err_;
}

bool Process::wait_for_output(std::string_view text, milliseconds timeout) {
  std::unique_lock lock(mutex_);
  const auto seen = [&] { return out_.find(text) != std::string::npos || err_.find(text) != std::string::npos; };
  changed_.wait_for(lock, timeout, [&] { return closed_ || seen(); });
  return seen();
}

RunResult run(const std::vector<std::string>& argv, const Environment& env, const std::string& input,
              milliseconds timeout) {
  ProcessOptions options;
  options.env = env;
  options.input = input;
  Process process(argv, options);
  const auto code = process.wait(timeout);
  if (!code) {
    throw std::runtime_error(argv[0] + " did not end within " + std::to_string(timeout.count()) + " ms; it wrote:\n" +
                             process.out() + process.err());
  }
  return {*code, process.out(), process.err()};
}

bool stands_still(pid_t pid) {
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
    std::ifstream file(task.path() / "stat");
    std::string stat;
    std::getline(file, stat);
    if (stat.find(") T ") == std::string::npos) return false;
  }
  return true;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::filesystem::path find_program(const char* name_variable, std::string_view name,
                                   const std::vector<std::filesystem::path>& folders) {
  const auto executable = [](const std::filesystem::path& file) { return ::access(file.c_str(), X_OK) == 0; };
  if (const auto file = variable(name_variable); !file.empty()) {
    if (executable(file)) return file;
    throw std::runtime_error(std::string(name_variable) + "=" + file + " is not an executable file");
  }
  std::vector<std::filesystem::path> places;
  std::istringstream path(variable("PATH"));
  for (std::string folder; std::getline(path, folder, ':');) places.emplace_back(folder);
  places.insert(places.end(), folders.begin(), folders.end());
  for (const auto& folder : places) {
    if (executable(folder / name)) return folder / name;
  }
  throw std::runtime_error("found no " + std::string(name) + ": run packaging/setup-debian, or set " + name_variable);
}

}  // namespace tide::test
