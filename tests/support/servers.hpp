// Private PostgreSQL and NATS servers for tests: loopback, free port, temporary folder, ended with their object.
// Threads: each object belongs to one thread, and that thread must outlive it (see process.hpp).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "process.hpp"

namespace tide::test {

// Where PostgreSQL's programs are, and nats-server. They throw with what to install or set when there is none.
std::filesystem::path postgres_bin();
std::filesystem::path nats_server_program();

enum class Stop {
  fast,       // checkpoint, then exit
  immediate,  // as after a crash: recovery at the next start
};

struct PostgresOptions {
  std::vector<std::string> settings = {};  // lines of postgresql.conf, e.g. "wal_level = logical"
  bool fsync = false;
};

class PostgresServer;
struct StandbyOf {
  const PostgresServer& server;
};

// One PostgreSQL cluster with trust authentication. Runs as the user `postgres` (or `nobody`) when the test is root.
class PostgresServer {
 public:
  explicit PostgresServer(const PostgresOptions& options = {});  // returns when it accepts queries
  explicit PostgresServer(StandbyOf primary);                    // returns when it streams; nobody waits for it yet
  ~PostgresServer();

  std::string url(std::string_view database = "postgres", std::string_view user = "postgres") const;
  std::string create_database();  // a fresh one with a unique name; returns its URL

  void stop(Stop mode = Stop::fast);
  void kill9();  // SIGKILL, to the server and its sessions at once
  void start();  // on the same port and data folder

  // --- replication
  // A server that is stopped comes back, on its port, as a standby with a fresh copy of the primary's data.
  void follow(const PostgresServer& primary);
  void wait_for_standby(bool yes);  // of a primary: commits wait for its standby (synchronous replication), or do not
  void stop_following();            // of a standby: what the primary does from now on never reaches it
  void promote();                   // of a standby; returns when it takes writes

  // Freezes the server and its sessions. A test that is killed meanwhile leaves the frozen sessions behind.
  void pause();
  void resume();

  // Runs psql. The rows come unaligned, fields split by '|', lines by '\n', the last line end cut off.
  // Throws with psql's message when a statement fails.
  std::string psql(const std::string& url, const std::string& sql) const;

  pid_t pid() const;
  std::uint16_t port() const { return port_; }
  const std::filesystem::path& data() const { return data_; }
  std::string log() const;

 private:
  void set(const std::string& name, const std::string& value);
  std::vector<pid_t> children() const;

  TempDir dir_{"tide-test-pg"};
  std::filesystem::path bin_;
  std::filesystem::path data_;
  std::string user_;
  std::uint16_t port_ = 0;
  bool paused_ = false;
  std::unique_ptr<Process> process_;
};

// One nats-server with JetStream. `config` is appended to its configuration file.
class NatsServer {
 public:
  explicit NatsServer(std::string config = {}, bool jetstream = true);  // returns when it accepts connections
  ~NatsServer();

  std::string url() const;  // nats://127.0.0.1:PORT
  std::uint16_t port() const { return port_; }

  void stop();                     // SIGTERM, and waits for its end
  void kill9();                    // SIGKILL, and waits for its end
  void start();                    // on the same port and folder
  void start(std::string config);  // the same with other appended configuration
  void reload(std::string config);  // the same without a restart
  void pause();  // returns when it stands still
  void resume();

  pid_t pid() const;
  std::string log() const;

 private:
  void write_config() const;

  TempDir dir_{"tide-test-nats"};
  std::string config_;
  bool jetstream_ = true;
  std::uint16_t port_ = 0;
  std::unique_ptr<Process> process_;
};

}  // namespace tide::test
