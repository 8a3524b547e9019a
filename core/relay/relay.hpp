// Runs pipelines: finds out which there are, takes those that no other relay has, keeps them going, passes wake-ups on.
// run() belongs to one thread.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "base/backoff.hpp"
#include "base/postgres.hpp"
#include "base/service.hpp"
#include "base/wakeup.hpp"
#include "config/config_file.hpp"
#include "offset/offset_store.hpp"
#include "pipeline/pipeline.hpp"
#include "sink/plugin.hpp"

namespace tide {

// What run() came to, worst first.
enum class RunResult { done, failed, misconfigured };

class Relay {
 public:
  struct Settings {
    FileConfig config;
    std::string postgres_url;
    std::vector<std::filesystem::path> plugin_folders;
    bool once = false;                                          // deliver what is committed now, then return
    std::string state_folder;                                   // where positions are remembered; empty: nowhere
    std::function<bool()> reload_asked = [] { return false; };  // since it was last asked
    std::function<FileConfig()> load_config = nullptr;          // throws ConfigError
  };
  // stop_fd becomes readable when `stop` is requested.
  Relay(Settings settings, std::stop_token stop, int stop_fd);
  ~Relay();

  // Until asked to stop, or with `once` until everything is delivered. Throws ConfigError where the file's pipelines
  // are not right, and, with `once`, Error where PostgreSQL or the schema is not.
  RunResult run();

 private:
  using Clock = std::chrono::steady_clock;

  // A pipeline that this relay owns, on its own thread.
  struct Running {
    std::string fingerprint;
    std::int64_t offset_id = 0;
    std::int64_t outbox_id = 0;
    std::unique_ptr<Pipeline> pipeline;
    std::atomic<bool> done = false;
    bool lost_postgres = false;  // read once done
    std::string error;           // the same; empty: it ended as it should
    bool deleted = false;        // the same: it has no offset any more
    bool hangs = false;          // in a plugin's call, as was told
    std::jthread thread;
  };
  // One that could not be started, or failed: not tried again before `until`, unless its configuration changes.
  struct Held {
    std::string fingerprint;
    Clock::time_point until;
  };

  void check_pipelines(const FileConfig& config) const;  // throws ConfigError
  void serve();
  void reload();
  void tell_service();
  void remember_positions();
  void sweep(const std::stop_token& stop);
  void round();
  void stop_deleted();
  void pass_letters_on();
  void note(const std::string& name, std::int64_t offset_id, const std::string& state, const std::string& text);
  [[nodiscard]] std::vector<PipelineSpec> wanted();
  void take(const PipelineSpec& spec);
  void start(const PipelineSpec& spec, const std::string& fingerprint);
  void reap();
  void tell_hanging();
  void stop_all();
  void hold(const std::string& name, const std::string& fingerprint, std::chrono::seconds time);
  void worse(RunResult result) { result_ = std::max(result_, result); }
  [[nodiscard]] pg::Settings postgres(const std::string& url, const char* name) const;
  [[nodiscard]] EnvPolicy env_of(const PipelineSpec& spec) const;

  Settings settings_;
  const std::stop_token stop_;
  const int stop_fd_;
  const PluginLoader plugins_;
  const Service service_;
  PositionMemory positions_;
  std::string installation_;

  // All on one server, made anew together: a position holds only where its offset is.
  std::unique_ptr<pg::Session> watch_;
  std::unique_ptr<OffsetStore> offsets_;
  std::unique_ptr<pg::SessionPool> readers_;
  MemoryBudget memory_;
  bool connected_ = false;  // since the last failure
  bool catalog_changed_ = true;
  bool restore_accepted_ = false;
  Clock::time_point catalog_at_{};
  bool letters_changed_ = true;
  Clock::time_point letters_at_{};
  Clock::time_point remember_at_{};
  std::vector<PipelineSpec> catalog_;
  std::map<std::string, std::unique_ptr<Running>> running_;
  std::map<std::string, Held> held_;
  Wakeup ended_;  // a pipeline's thread
  RunResult result_ = RunResult::done;
  bool ready_ = false;  // the service manager knows
  std::string told_;    // it, last
  std::jthread sweeper_;
};

}  // namespace tide
