#include "servers.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace tide::test {
namespace {

using std::chrono::seconds;
namespace fs = std::filesystem;

// Generous: CI runs several servers on two cores.
constexpr milliseconds start_timeout = seconds(60);

std::string read_file(const fs::path& file) {
  const std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// The last lines of a server's log: enough to say why it did not start.
std::string tail(const std::string& text) {
  return text.size() > 2000 ? text.substr(text.size() - 2000) : text;
}

std::string postgres_user() {
  if (::geteuid() != 0) return {};
  return ::getpwnam("postgres") != nullptr ? "postgres" : "nobody";
}

void give_to(const std::string& user, const fs::path& path) {
  if (user.empty()) return;
  const passwd* entry = ::getpwnam(user.c_str());
  if (entry == nullptr || ::chown(path.c_str(), entry->pw_uid, entry->pw_gid) != 0) {
    throw std::runtime_error("could not give " + path.string() + " to the user " + user);
  }
}

void run_as(const std::string& user, std::vector<std::string> argv, const fs::path& cwd) {
  ProcessOptions options;
  options.user = user;
  options.cwd = cwd;
  Process process(argv, options);
  if (process.wait(start_timeout).value_or(-1) != 0) {
    throw std::runtime_error(argv[0] + " failed:\n" + tail(process.out() + process.err()));
  }
}

// initdb takes a second, a copy of what it made a tenth of that.
class DataTemplate {
 public:
  DataTemplate(const fs::path& bin, const std::string& user) {
    give_to(user, dir_.path());
    run_as(user,
           {(bin / "initdb").string(), "-D", path().string(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale",
            "C.UTF-8", "--no-sync"},
           dir_.path());
  }
  fs::path path() const { return dir_ / "data"; }

 private:
  TempDir dir_{"tide-test-pg-template"};
};

// Another process may take the port between the choice and the start.
template <typename Start>
void start_on_free_port(std::uint16_t& port, const Start& start) {
  for (int attempt = 1;; ++attempt) {
    port = free_port();
    try {
      start();
      return;
    } catch (const std::exception& error) {
      if (attempt == 3 || std::string_view(error.what()).find("already in use") == std::string_view::npos) throw;
    }
  }
}

// ready(pid): whether the server takes clients by now.
template <typename Ready>
std::unique_ptr<Process> start_server(const std::string& name, std::vector<std::string> argv,
                                      const ProcessOptions& options, const Ready& ready) {
  auto process = std::make_unique<Process>(std::move(argv), options);
  const bool started = eventually(start_timeout, [&] { return !process->running() || ready(process->pid()); });
  if (started && process->running()) return process;
  throw std::runtime_error(name + " did not start:\n" + tail(read_file(options.output)));
}

bool answers(std::uint16_t port, std::string_view greeting) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const timeval patience{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string got(greeting.size(), '\0');
  const bool ok = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                  ::recv(fd, got.data(), got.size(), MSG_WAITALL) == static_cast<ssize_t>(got.size()) &&
                  got == greeting;
  ::close(fd);
  return ok;
}

}  // namespace

fs::path postgres_bin() {
  if (const auto bin = variable("TIDE_TEST_PG_BIN"); !bin.empty()) return bin;
  std::vector<std::pair<int, fs::path>> versions;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", none)) {
    const std::string name = entry.path().filename().string();
    int version = 0;
    std::from_chars(name.data(), name.data() + name.size(), version);
    if (::access((entry.path() / "bin/postgres").c_str(), X_OK) == 0) versions.emplace_back(version, entry.path());
  }
  if (!versions.empty()) return std::max_element(versions.begin(), versions.end())->second / "bin";
  return find_program("TIDE_TEST_POSTGRES", "postgres", {}).parent_path();
}

fs::path nats_server_program() {
  return find_program("TIDE_TEST_NATS_SERVER", "nats-server", {"/usr/sbin", "/usr/bin"});
}

PostgresServer::PostgresServer(const PostgresOptions& options)
    : bin_(postgres_bin()), data_(dir_ / "data"), user_(postgres_user()) {
  give_to(user_, dir_.path());
  static const DataTemplate made(bin_, user_);
  run_as(user_, {"cp", "-a", made.path().string(), data_.string()}, dir_.path());
  {
    std::ofstream conf(data_ / "postgresql.auto.conf", std::ios::app);
    conf << "listen_addresses = '127.0.0.1'\n"
         << "unix_socket_directories = ''\n"
         << "max_connections = 200\n"
         << "max_prepared_transactions = 20\n"
         << "shared_buffers = '64MB'\n"
         << "log_line_prefix = '%m [%p] %a '\n"
         << (options.fsync ? "" : "fsync = off\nfull_page_writes = off\n");
    for (const auto& line : options.settings) conf << line << '\n';
  }
  start_on_free_port(port_, [this] { start(); });
}

PostgresServer::~PostgresServer() {
  try {
    stop(Stop::immediate);
  } catch (const std::exception&) {
    // Process's destructor kills it.
  }
}

PostgresServer::PostgresServer(StandbyOf primary) : bin_(postgres_bin()), data_(dir_ / "data"), user_(postgres_user()) {
  give_to(user_, dir_.path());
  start_on_free_port(port_, [&] { follow(primary.server); });
}

std::string PostgresServer::url(std::string_view database, std::string_view user) const {
  return "postgresql://" + std::string(user) + "@127.0.0.1:" + std::to_string(port_) + "/" + std::string(database);
}

std::string PostgresServer::create_database() {
  static int databases = 0;  // of all servers: a standby has its primary's
  const std::string name = "test_" + std::to_string(++databases);
  psql(url(), "CREATE DATABASE " + name);
  return url(name);
}

void PostgresServer::stop(Stop mode) {
  if (!process_) return;
  if (paused_) resume();
  process_->kill(mode == Stop::fast ? SIGINT : SIGQUIT);
  if (!process_->wait(start_timeout)) process_->kill(SIGKILL);
  process_.reset();
}

void PostgresServer::start() {
  if (process_) throw std::logic_error("PostgreSQL runs already");
  ProcessOptions options;
  options.user = user_;
  options.cwd = dir_.path();
  options.output = dir_ / "log";
  // The postmaster writes its state to the eighth line; a file left by a crash names another pid.
  const auto ready = [this](pid_t pid) {
    std::istringstream lines(read_file(data_ / "postmaster.pid"));
    std::string line;
    for (int number = 1; std::getline(lines, line); ++number) {
      if (number == 1 && line != std::to_string(pid)) return false;
      if (number == 8) return line.starts_with("ready");
    }
    return false;
  };
  process_ = start_server(
      "PostgreSQL", {(bin_ / "postgres").string(), "-D", data_.string(), "-p", std::to_string(port_)}, options, ready);
}

void PostgresServer::kill9() {
  if (!process_) return;
  pause();  // so that no session sees the others go
  for (const pid_t child : children()) ::kill(child, SIGKILL);
  process_->kill(SIGKILL);
  process_->wait(start_timeout);
  paused_ = false;
  process_.reset();
}

void PostgresServer::follow(const PostgresServer& primary) {
  if (process_) throw std::logic_error("PostgreSQL runs");
  fs::remove_all(data_);
  run_as(user_,
         {(bin_ / "pg_basebackup").string(), "-d", primary.url(), "-D", data_.string(), "-R", "-X", "stream", "-c",
          "fast", "--no-sync"},
         dir_.path());
  // The primary may wait for a standby, which is no reason for this one to do so once it is promoted.
  std::ofstream(data_ / "postgresql.auto.conf", std::ios::app) << "synchronous_standby_names = ''\n";
  start();
  const auto streams = [&] { return psql(url(), "SELECT status FROM pg_stat_wal_receiver") == "streaming"; };
  if (!eventually(start_timeout, streams)) throw std::runtime_error("the standby does not stream:\n" + tail(log()));
}

void PostgresServer::set(const std::string& name, const std::string& value) {
  psql(url(), "ALTER SYSTEM SET " + name + " = '" + value + "'");
  psql(url(), "SELECT pg_reload_conf()");
}

void PostgresServer::wait_for_standby(bool yes) {
  set("synchronous_standby_names", yes ? "*" : "");
  // A reload takes its time; nothing else tells that it happened.
  const std::string wanted = yes ? "sync" : "async";
  if (!eventually(start_timeout, [&] { return psql(url(), "SELECT sync_state FROM pg_stat_replication") == wanted; })) {
    throw std::runtime_error("the standby does not become " + wanted);
  }
  // The process that checkpoints is the one that makes commits wait; it has read the setting before it does that.
  psql(url(), "CHECKPOINT");
}

void PostgresServer::stop_following() {
  set("primary_conninfo", "");
  if (!eventually(start_timeout, [&] { return psql(url(), "SELECT count(*) FROM pg_stat_wal_receiver") == "0"; })) {
    throw std::runtime_error("the standby goes on streaming");
  }
}

void PostgresServer::promote() {
  const auto answer = psql(url(), "SELECT pg_promote()");
  if (!eventually(start_timeout, [&] { return psql(url(), "SELECT pg_is_in_recovery()") == "f"; })) {
    throw std::runtime_error("not promoted: pg_promote() says '" + answer + "'\n" + tail(log()));
  }
}

std::vector<pid_t> PostgresServer::children() const {
  std::vector<pid_t> result;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc() || end != name.data() + name.size()) continue;
    // pid (name) state ppid ...
    const std::string stat = read_file(entry.path() / "stat");
    const auto close = stat.rfind(')');
    if (close == std::string::npos) continue;
    std::istringstream fields(stat.substr(close + 1));
    char state = 0;
    pid_t parent = 0;
    if (fields >> state >> parent && parent == process_->pid()) result.push_back(pid);
  }
  return result;
}

void PostgresServer::pause() {
  process_->kill(SIGSTOP);  // first, so that no new session escapes
  for (const pid_t child : children()) ::kill(child, SIGSTOP);
  paused_ = true;
}

void PostgresServer::resume() {
  for (const pid_t child : children()) ::kill(child, SIGCONT);
  process_->kill(SIGCONT);
  paused_ = false;
}

std::string PostgresServer::psql(const std::string& url, const std::string& sql) const {
  auto result =
      run({(bin_ / "psql").string(), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-f", "-"}, {}, sql);
  if (result.exit_code != 0) throw std::runtime_error("psql: " + result.err);
  if (result.out.ends_with('\n')) result.out.pop_back();
  return result.out;
}

pid_t PostgresServer::pid() const {
  return process_ ? process_->pid() : -1;
}

std::string PostgresServer::log() const {
  return read_file(dir_ / "log");
}

NatsServer::NatsServer(std::string config, bool jetstream) : config_(std::move(config)), jetstream_(jetstream) {
  start_on_free_port(port_, [this] { start(); });
}

NatsServer::~NatsServer() {
  try {
    kill9();
  } catch (const std::exception&) {
    // Process's destructor kills it.
  }
}

std::string NatsServer::url() const {
  return "nats://127.0.0.1:" + std::to_string(port_);
}

void NatsServer::write_config() const {
  std::ofstream file(dir_ / "nats.conf");
  file << "host: 127.0.0.1\nport: " << port_ << '\n';
  if (jetstream_) file << "jetstream { store_dir: \"" << (dir_ / "jetstream").string() << "\" }\n";
  file << config_ << '\n';
}

void NatsServer::start() {
  if (process_) throw std::logic_error("nats-server runs already");
  write_config();
  ProcessOptions options;
  options.cwd = dir_.path();
  options.output = dir_ / "log";
  process_ = start_server("nats-server", {nats_server_program().string(), "-c", (dir_ / "nats.conf").string()}, options,
                          [this](pid_t) { return answers(port_, "INFO {"); });
}

void NatsServer::start(std::string config) {
  config_ = std::move(config);
  start();
}

void NatsServer::reload(std::string config) {
  config_ = std::move(config);
  write_config();
  const auto reloads = [this] {
    const std::string text = log();
    std::size_t count = 0;
    for (std::size_t at = 0; (at = text.find("Reloaded server configuration", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  const auto before = reloads();
  process_->kill(SIGHUP);
  if (!eventually(start_timeout, [&] { return reloads() > before; }))
    throw std::runtime_error("nats-server did not take its new configuration:\n" + tail(log()));
}

void NatsServer::stop() {
  if (!process_) return;
  process_->terminate(seconds(20));
  process_.reset();
}

void NatsServer::kill9() {
  if (!process_) return;
  process_->kill(SIGKILL);
  process_->wait(start_timeout);
  process_.reset();
}

void NatsServer::pause() {
  process_->kill(SIGSTOP);
  if (!eventually(start_timeout, [this] { return stands_still(pid()); }))
    throw std::runtime_error("nats-server did not stand still");
}

void NatsServer::resume() {
  process_->kill(SIGCONT);
}

pid_t NatsServer::pid() const {
  return process_ ? process_->pid() : -1;
}

std::string NatsServer::log() const {
  return read_file(dir_ / "log");
}

}  // namespace tide::test
