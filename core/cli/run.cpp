#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <thread>

#include "base/log.hpp"
#include "cli/commands.hpp"
#include "relay/relay.hpp"

namespace tide::cli {

namespace {

// SIGTERM and SIGINT ask for an orderly end; the second one does not wait for it. SIGHUP asks for the configuration to
// be read again, if it may.
class Signals {
 public:
  explicit Signals(bool with_reload) : fd_(::eventfd(0, EFD_CLOEXEC)) {
    sigemptyset(&signals_);
    if (with_reload) sigaddset(&signals_, SIGHUP);
    sigaddset(&signals_, SIGTERM);
    sigaddset(&signals_, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);  // before any other thread starts: they all inherit it
    thread_ = std::jthread([this](const std::stop_token& end) { watch(end); });
  }
  ~Signals() {
    thread_.request_stop();
    thread_.join();
    ::close(fd_);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  [[nodiscard]] std::stop_token token() const { return stop_.get_token(); }
  [[nodiscard]] int fd() const { return fd_; }  // readable once stop is requested
  bool take_reload() { return reload_.exchange(false); }

 private:
  void watch(const std::stop_token& end) {
    while (!end.stop_requested()) {
      const timespec look{0, 200'000'000};
      const int signal = ::sigtimedwait(&signals_, nullptr, &look);
      if (signal < 0) continue;
      if (signal == SIGHUP) {
        reload_ = true;
        continue;
      }
      if (stop_.stop_requested()) ::_exit(128 + signal);
      spdlog::info("{}: delivering what is in flight, then stopping", signal == SIGTERM ? "SIGTERM" : "SIGINT");
      stop_.request_stop();
      ::eventfd_write(fd_, 1);
    }
  }

  sigset_t signals_{};
  const int fd_;
  std::stop_source stop_;
  std::atomic<bool> reload_ = false;
  std::jthread thread_;
};

}  // namespace

int run(const Options& options) {
  Relay::Settings settings;
  settings.config = load(options);
  settings.postgres_url = postgres_url(options, settings.config);
  settings.plugin_folders = plugin_folders(settings.config);
  settings.once = options.once;
  set_up_log(settings.config.log.level, settings.config.log.format);
  if (const char* folder = std::getenv("STATE_DIRECTORY"); folder != nullptr && !options.once) {
    const std::string folders = folder;  // the last one is this instance's own
    settings.state_folder = folders.substr(folders.rfind(':') + 1) + "/positions";
  }
  Signals signals(!options.once);
  settings.reload_asked = [&signals] { return signals.take_reload(); };
  settings.load_config = [&options] { return load(options); };
  switch (Relay(std::move(settings), signals.token(), signals.fd()).run()) {
    case RunResult::done:
      return kDone;
    case RunResult::failed:
      return options.once ? kFailed : kDone;
    case RunResult::misconfigured:
      return options.once ? kUsage : kDone;
  }
  return kFailed;
}

}  // namespace tide::cli
