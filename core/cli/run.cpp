#include <sys/eventfd.h>
#include <unistd.h>

#include <csignal>
#include <ctime>
#include <thread>

#include "base/log.hpp"
#include "cli/commands.hpp"
#include "relay/relay.hpp"

namespace tide::cli {

namespace {

// SIGTERM and SIGINT ask for an orderly end; the second one does not wait for it.
class StopSignals {
 public:
  StopSignals() : fd_(::eventfd(0, EFD_CLOEXEC)) {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGTERM);
    sigaddset(&signals_, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);  // before any other thread starts: they all inherit it
    thread_ = std::jthread([this](const std::stop_token& end) { watch(end); });
  }
  ~StopSignals() {
    thread_.request_stop();
    thread_.join();
    ::close(fd_);
  }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  [[nodiscard]] std::stop_token token() const { return stop_.get_token(); }
  [[nodiscard]] int fd() const { return fd_; }  // readable once stop is requested

 private:
  void watch(const std::stop_token& end) {
    while (!end.stop_requested()) {
      const timespec look{0, 200'000'000};
      const int signal = ::sigtimedwait(&signals_, nullptr, &look);
      if (signal < 0) continue;
      if (stop_.stop_requested()) ::_exit(128 + signal);
      spdlog::info("{}: delivering what is in flight, then stopping", signal == SIGTERM ? "SIGTERM" : "SIGINT");
      stop_.request_stop();
      ::eventfd_write(fd_, 1);
    }
  }

  sigset_t signals_{};
  const int fd_;
  std::stop_source stop_;
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
  const StopSignals signals;
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
