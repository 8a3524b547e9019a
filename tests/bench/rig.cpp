#include "rig.hpp"

#include <simdjson.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <ctime>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace tide::bench {
namespace {

using std::chrono::minutes;

// 2026-01-02T03:04:05.123456789Z, in seconds.
double seconds_of(const std::string& time) {
  std::tm parts{};
  const char* rest = ::strptime(time.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) throw std::runtime_error("no time: " + time);
  return static_cast<double>(::timegm(&parts)) + (*rest == '.' ? std::stod("0" + std::string(rest)) : 0);
}

}  // namespace

std::string stream_of(const std::string& name) {
  std::string stream = name;
  std::transform(stream.begin(), stream.end(), stream.begin(), [](unsigned char c) { return std::toupper(c); });
  return stream;
}

// As an operator would set it for such a load; the rest is the default, and commits are on disk.
Rig::Rig()
    : postgres_({{"shared_buffers = '1GB'", "max_wal_size = '8GB'", "checkpoint_timeout = '1h'"}, true}),
      js_(nats_.url()),
      url_(postgres_.url()) {
  if (const auto init = test::run({test::variable("TIDE_RELAY"), "init", "--postgres-url", url_}); init.exit_code != 0)
    throw std::runtime_error(init.err);
  session_ = std::make_unique<pg::Session>(pg::Settings{url_, "bench", minutes(10)});
  session_->query("SET synchronous_commit = off");
}

void Rig::create(const std::string& name) {
  session_->query("SELECT tide.outbox_create('" + name + "')");
  set_pipeline(name, name);
}

void Rig::set_pipeline(const std::string& name, const std::string& outbox) {
  js_.create_stream(stream_of(name), {name + ".>"});
  session_->query("SELECT tide.relay_set_outbox('" + name + "', '" + outbox + "', '" + name +
                  "', '{\"sink_type\": \"nats\", \"url\": \"" + nats_.url() + "\", \"subject\": \"" + name +
                  ".{op}\"}'); SELECT tide.relay_enable('" + name + "')");
}

void Rig::drop_pipeline(const std::string& name) {
  session_->query("SELECT tide.relay_delete('" + name + "')");
  js_.delete_stream(stream_of(name));
}

void Rig::drop(const std::string& name) {
  drop_pipeline(name);
  session_->query("SELECT tide.outbox_drop('" + name + "')");
}

// Letters that do not compress well, as an event's do not.
void Rig::fill(const std::string& outbox, int events, int bytes) {
  const int letters = std::max(bytes - 30, 1);
  session_->query("INSERT INTO tide.outbox_messages (outbox, payload, dedup_key) SELECT '" + outbox +
                  "', jsonb_build_object('n', n, 'pad', left((SELECT string_agg(md5(n::text || i::text), '') FROM "
                  "generate_series(0, " +
                  std::to_string(letters / 32) + ") i), " + std::to_string(letters) +
                  ")), 'order-' || n FROM generate_series(1, " + std::to_string(events) + ") n");
  session_->query("VACUUM ANALYZE tide.outbox_messages");
  session_->query("CHECKPOINT");
}

void Rig::rewind(const std::string& name, const std::string& outbox) {
  drop_pipeline(name);
  set_pipeline(name, outbox.empty() ? name : outbox);
}

std::string Rig::outbox_id(const std::string& outbox) {
  return std::string(session_->query("SELECT outbox_id FROM tide.outboxes WHERE name = '" + outbox + "'").at(0, 0));
}

std::unique_ptr<test::Process> Rig::start_relay(bool once) {
  std::vector<std::string> words{test::variable("TIDE_RELAY"), "run", "--postgres-url", url_};
  if (once) words.emplace_back("--once");
  return std::make_unique<test::Process>(words);
}

Drain Rig::drain_by_relay(const std::string& name) {
  rewind(name);
  const double before = children_cpu_seconds();
  const auto relay = start_relay(true);
  if (relay->wait(minutes(10)) != 0) throw std::runtime_error("the relay failed: " + relay->err());
  const auto all = stored(stream_of(name));
  return {all.per_second(), (children_cpu_seconds() - before) * 1e6 / all.messages};
}

Drain Rig::drain_by_bare_loop(const std::string& name, int count) {
  rewind(name);
  const double before = children_cpu_seconds();
  const auto loop = test::run({test::variable("TIDE_BARE_LOOP"), url_, "tide.outbox_" + outbox_id(name), nats_.url(),
                               name + ".insert", std::to_string(count)},
                              {}, {}, minutes(10));
  if (loop.exit_code != 0) throw std::runtime_error(loop.err);
  const auto all = stored(stream_of(name));
  return {all.per_second(), (children_cpu_seconds() - before) * 1e6 / all.messages};
}

Stored Rig::stored(const std::string& stream) {
  simdjson::dom::parser parser;
  const simdjson::dom::element state = parser.parse(js_.api("STREAM.INFO." + stream, ""))["state"];
  const auto time = [&](const char* key) { return seconds_of(std::string(std::string_view(state[key]))); };
  return {static_cast<double>(std::uint64_t(state["messages"])), time("first_ts"), time("last_ts")};
}

double children_cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double cpu_seconds(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
  std::istringstream words(line.substr(line.rfind(')') + 1));
  std::string word;
  for (int i = 0; i < 11; ++i) words >> word;
  double user = 0;
  double system = 0;
  words >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

double resident_mib(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
  double size = 0;
  double resident = 0;
  file >> size >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 20);
}

}  // namespace tide::bench
