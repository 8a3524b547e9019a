#include "world.hpp"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

namespace tide::test {

using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr double kShortForm = 20;
constexpr int kKilled = 128 + SIGKILL;

class PrintsTotal : public ::testing::Environment {
 public:
  void TearDown() override {
    const auto& t = total();
    std::cout << "total: " << t.events << " events, " << t.kills() << " kills (" << t.relay_kills << " relay, "
              << t.nats_kills << " nats-server, " << t.postgres_kills << " PostgreSQL), " << t.cuts
              << " connections cut, " << t.freezes << " freezes: " << t.lost << " lost, " << t.twice << " twice, "
              << t.invented << " invented, " << t.out_of_order << " out of order" << std::endl;
  }
};
[[maybe_unused]] const auto* const prints_total = ::testing::AddGlobalTestEnvironment(new PrintsTotal);

// Whether a process, started perhaps a moment ago, waits for the signal by now instead of dying of it.
bool blocks(pid_t pid, int signal) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("SigBlk:")) return (std::stoull(line.substr(7), nullptr, 16) >> (signal - 1) & 1) != 0;
  return false;
}

}  // namespace

double fault_seconds() {
  const auto text = variable("TIDE_FAULT_SECONDS");
  return text.empty() ? kShortForm : std::atof(text.c_str());
}

Total& total() {
  static Total sum;
  return sum;
}

void World::SetUp() {
  const auto seed = std::random_device{}();
  random_.seed(seed);
  RecordProperty("seed", std::to_string(seed));
  dir_ = std::make_unique<TempDir>("tide-fault");
  TwoServers::SetUp();
  relay_url_ = url_;
}

void World::TearDown() {
  if (!judged_ && writers_ && !HasFatalFailure()) judge_now();
  writers_.reset();
  relays_.clear();
  if (HasFailure()) {
    const auto log = relay_log();
    std::cout << "the relays' log ends with:\n" << (log.size() > 6000 ? log.substr(log.size() - 6000) : log) << '\n';
  }
}

void World::set_up_pipeline(std::uint16_t nats_port, const std::string& more_options,
                            std::chrono::milliseconds duplicate_window) {
  static int number = 0;
  stream_ = "S" + std::to_string(++number);
  StreamOptions options;
  options.duplicate_window = duplicate_window;
  js().create_stream(stream_, {stream_ + ".>"}, options);
  const auto port = std::to_string(nats_port == 0 ? nats_->port() : nats_port);
  set_up_sink("{\"sink_type\": \"nats\", \"url\": \"nats://127.0.0.1:" + port + "\", \"subject\": \"" + stream_ +
                  ".{op}\", \"retry\": {\"initial_ms\": 20, \"max_ms\": 500}" + more_options + "}",
              kRefusedByNats);
}

void World::set_up_sink(const std::string& config, const std::string& unsendable_header) {
  const auto installed = run({variable("TIDE_RELAY"), "init", "--postgres-url", url_});
  ASSERT_EQ(installed.exit_code, 0) << installed.err;
  sql("SELECT tide.outbox_create('orders')");
  sql("SELECT tide.relay_set_outbox('p', 'orders', 'g', '" + config + "'); SELECT tide.relay_enable('p')");
  sql(Writers::schema(unsendable_header));
}

void World::use_postgres_port(std::uint16_t port) {
  const auto own = ":" + std::to_string(postgres_->port()) + "/";
  relay_url_ = url_;
  relay_url_.replace(relay_url_.find(own), own.size(), ":" + std::to_string(port) + "/");
}

void World::start_writers(int transactions_per_second) {
  writers_ = std::make_unique<Writers>(url_, transactions_per_second);
}

std::unique_ptr<Process> World::start_relay(const Environment& env, const char* program_variable) const {
  const auto config = *dir_ / "relay.toml";
  auto fresh = config;  // one that another relay reads at this moment stays whole
  fresh += ".new";
  std::ofstream(fresh) << "[postgres]\nurl = \"" << relay_url_ << "\"\ndeadline_ms = " << kPostgresDeadline.count()
                       << "\n[catalog]\ndata_dir = " << std::filesystem::temp_directory_path() << '\n';
  std::filesystem::rename(fresh, config);
  ProcessOptions options;
  options.env = env;
  options.output = *dir_ / "log";
  return std::make_unique<Process>(std::vector<std::string>{variable(program_variable), "run", "--config", config},
                                   options);
}

void World::start_relays(int count) {
  for (int i = 0; i < count; ++i) relays_.push_back(start_relay());
}

void World::tend() {
  for (auto& relay : relays_) {
    if (relay->running()) continue;
    EXPECT_EQ(relay->wait(milliseconds(0)), kKilled) << "a relay ended by itself";
    relay = start_relay();
  }
}

void World::freeze(Process& relay) {
  relay.kill(SIGSTOP);
  ++counts_.freezes;
}

void World::tend_for(milliseconds time) {
  tend_until(time, [] { return false; });
}

bool World::tend_until(milliseconds timeout, const std::function<bool()>& condition) {
  return eventually(timeout, [&] {
    tend();
    return condition();
  });
}

void World::kill_relay() {
  const auto which = static_cast<std::size_t>(pick(0, static_cast<int>(relays_.size()) - 1));
  relays_[which]->kill(SIGKILL);
  relays_[which]->wait(seconds(10));
  ++counts_.relay_kills;
}

void World::stop_relays() {
  for (auto& relay : relays_) {
    eventually(seconds(5), [&] { return !relay->running() || blocks(relay->pid(), SIGTERM); });
    EXPECT_EQ(relay->terminate(seconds(20)), 0) << "SIGTERM is an orderly end";
  }
  relays_.clear();
}

std::string World::relay_log() const {
  const std::ifstream in(*dir_ / "log");
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

bool World::logged(const std::string& text, milliseconds timeout, std::size_t from) {
  return tend_until(timeout, [&] { return relay_log().find(text, from) != std::string::npos; });
}

void World::crash_nats(milliseconds down) {
  nats_->kill9();
  ++counts_.nats_kills;
  tend_for(down);
  nats_->start();
}

void World::crash_postgres(milliseconds down) {
  postgres_->stop(Stop::immediate);
  ++counts_.postgres_kills;
  tend_for(down);
  postgres_->start();
}

void World::judge_now(milliseconds patience) {
  judged_ = true;
  tend_until(seconds(20), [&] { return std::stoll(sql("SELECT count(*) FROM expected")) > 200; });
  writers_->stop();
  if (relays_.empty()) start_relays(1);
  EXPECT_TRUE(tend_until(patience, [&] { return sql("SELECT lag FROM tide.consumer_lag") == "0"; }))
      << "not everything was delivered; lag " << sql("SELECT lag FROM tide.consumer_lag");
  stop_relays();
  auto verdict = judge(sql("SELECT key, version, nonce, sendable FROM expected"),
                       sql("SELECT payload->>'k', payload->>'v', payload->>'n' FROM tide.dead_letters"), arrived());
  const auto& c = counts_;
  std::cout << "  " << writers_->transactions() << " transactions, " << verdict << "\n  killed: " << c.relay_kills
            << " x relay, " << c.nats_kills << " x nats-server, " << c.postgres_kills << " x PostgreSQL; " << c.cuts
            << " connections cut, " << c.freezes << " freezes" << std::endl;
  if (commits_lost_) {
    EXPECT_GT(verdict.invented, 0u) << "nothing that was sent was lost by PostgreSQL: the test proves nothing";
    verdict.invented = 0;
  }
  if (may_repeat_) verdict.twice = 0;
  if (any_order_) verdict.out_of_order = 0;
  EXPECT_TRUE(verdict.good()) << verdict;
  EXPECT_GT(verdict.events, 100u) << "too little happened for a verdict";
  auto& t = total();
  t.events += verdict.events;
  t.lost += verdict.lost;
  t.twice += verdict.twice;
  t.invented += verdict.invented;
  t.out_of_order += verdict.out_of_order;
  t.relay_kills += c.relay_kills;
  t.nats_kills += c.nats_kills;
  t.postgres_kills += c.postgres_kills;
  t.cuts += c.cuts;
  t.freezes += c.freezes;
}

}  // namespace tide::test
