#include "conformance/checks.hpp"

#include <arpa/inet.h>
#include <malloc.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <thread>

#include "conformance/findings.hpp"
#include "conformance/trial.hpp"
#include "sink/shared_object.hpp"

namespace tide::conformance {

namespace {

namespace fs = std::filesystem;

using Clock = std::chrono::steady_clock;

// A plugin with the configuration that it is tried with.
struct Live {
  explicit Live(const Subject& subject)
      : plugin(load_plugin(subject.file)), config(validated(read_sink_config(subject.config_file), *plugin)) {}
  std::shared_ptr<const Plugin> plugin;
  SinkConfig config;
};

// Tells when it did not end as it should. An outage during a test is no fault of the plugin's, but no result either.
void expect_alive(const Trial& trial, const char* after) {
  if (trial.lives() || any_broken()) return;
  broken(trial.status() == TIDE_RETRY ? "R23" : "R11", std::string(after) +
                                                           ", with a sink that should be there: status " +
                                                           std::to_string(trial.status()) + ": " + trial.error());
}

std::size_t entries(const char* folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}
std::size_t threads() {
  return entries("/proc/self/task");
}
std::size_t descriptors() {
  return entries("/proc/self/fd");
}

// Runs `cycle` again and again, and looks for what is left behind each time. The first few may start what a library
// keeps for the whole process.
void expect_no_leak(const std::function<void()>& cycle) {
  constexpr int kWarmUp = 3;
  constexpr int kCycles = 10;
  constexpr std::size_t kTolerated = kCycles / 2;
  for (int i = 0; i < kWarmUp; ++i) cycle();
  const auto threads_before = threads();
  const auto descriptors_before = descriptors();
  // A leak takes the same in each round; what libraries keep grows ever more slowly, and goes up and down.
  constexpr std::size_t kRounds = 9;
  std::vector<long> grown;  // bytes
  bool leaks = true;
  while (grown.size() < 3 || (leaks && grown.size() < kRounds)) {
    const auto memory_before = ::mallinfo2().uordblks;
    for (int i = 0; i < kCycles; ++i) cycle();
    grown.push_back(static_cast<long>(::mallinfo2().uordblks) - static_cast<long>(memory_before));
    const auto [least, most] = std::minmax_element(grown.begin(), grown.end());
    leaks = *least >= kCycles * 16 && *least >= *most / 2;
  }
  const auto until = Clock::now() + kSlack;  // a thread that was joined may still be listed for a moment
  while (threads() > threads_before + kTolerated && Clock::now() < until) std::this_thread::sleep_for(milliseconds(20));
  const std::string times = " after " + std::to_string(kCycles * grown.size()) + " instances were closed";
  if (threads() > threads_before + kTolerated)
    broken("R22", std::to_string(threads() - threads_before) + " more threads run" + times);
  if (descriptors() > descriptors_before + kTolerated)
    broken("R22", std::to_string(descriptors() - descriptors_before) + " more descriptors are open" + times);
  if (leaks)
    broken("R22", "memory grows by some " + std::to_string(*std::min_element(grown.begin(), grown.end()) / kCycles) +
                      " bytes with each instance that is closed");
}

// ------------------------------------------------------------------------------------------ without a configuration

void check_load(const Subject& subject) {
  const auto threads_before = threads();
  const auto descriptors_before = descriptors();
  std::shared_ptr<const Plugin> plugin;
  try {
    plugin = load_plugin(subject.file);
  } catch (const Error& e) {
    broken("", e.what());  // which names the rule
    return;
  }
  const auto entry = load_entry(plugin->file);
  if (entry() != entry()) broken("R1", "tide_sink_v1() returns another descriptor at each call");
  std::cout << std::endl;  // whatever it wrote comes out, as a line that the kit finds
  if (threads() != threads_before) broken("R1", "loading it started a thread");
  if (descriptors() > descriptors_before) broken("R1", "loading it left a descriptor open");
  for (const auto& symbol : plugin->stray_exports)
    broken("R2", "it exports " + symbol + "; hide it, and link with a version script");
  if (!plugin->never_unloaded) broken("R3", "it is not linked with -Wl,-z,nodelete");
  if (plugin->id != plugin->file.stem())
    broken("R4", "its id is " + plugin->id + ", its file is " + plugin->file.filename().string());
  note(plugin->id + ' ' + plugin->version + ", " + std::to_string(plugin->options.size()) + " options");
}

// Nothing is known of the sink but its options table, so it may connect or fail. It must do either by the rules.
void check_made_up(const Subject& subject) {
  const auto plugin = load_plugin(fs::absolute(subject.file));
  char folder[] = "/tmp/tide-plugins-test-XXXXXX";  // a file sink may write to where it stands
  if (::mkdtemp(folder) == nullptr || ::chdir(folder) != 0) throw Error("can not make a folder in /tmp");
  SinkConfig config;
  config.values = made_up(plugin->options);
  std::string seen;
  const auto cycle = [&] {
    const Trial trial(*plugin, config, 0, milliseconds(2000));
    seen = trial.status() == TIDE_OK ? "it connects" : "it says: " + trial.error();
  };
  const auto begin = Clock::now();
  cycle();
  // One that has to wait for its deadline would be at it for too long.
  if (Clock::now() - begin < milliseconds(300)) expect_no_leak(cycle);
  note("with made-up options " + seen);
  fs::current_path("/");
  fs::remove_all(folder);
}

// -------------------------------------------------------------------------------------------- with a configuration

void check_connect(const Subject& subject) {
  const Live live(subject);
  const Trial trial(*live.plugin, live.config);
  expect_alive(trial, "connect()");
}

void check_results(const Subject& subject) {
  const Live live(subject);
  Trial trial(*live.plugin, live.config);
  for (int i = 0; i < 3; ++i) {
    if (trial.ack(milliseconds(10)) > 1) broken("R17", "results came before anything was published");
  }
  trial.deliver(make_messages(300), 50);
  expect_alive(trial, "300 messages");
  for (int i = 0; i < 3; ++i) {
    if (trial.ack(milliseconds(50)) > 0) broken("R17", "results came with nothing in flight");
  }
  for (const auto& [token, result] : trial.settled()) {
    if (result.status != TIDE_STORED) {
      broken("R23", "an ordinary message was not stored: " + trial.error());
      break;
    }
  }
  note(trial.outcomes());
}

void check_leaks(const Subject& subject) {
  const Live live(subject);
  expect_no_leak([&] {
    Trial trial(*live.plugin, live.config);
    trial.deliver(make_messages(1));
  });
}

void check_threads(const Subject& subject) {
  const Live live(subject);
  std::unique_ptr<Trial> trial;
  const auto elsewhere = [](const auto& call) { std::thread(call).join(); };
  elsewhere([&] { trial = std::make_unique<Trial>(*live.plugin, live.config); });
  const auto messages = make_messages(100);
  for (std::size_t sent = 0; trial->lives() && sent < messages.size();) {
    elsewhere([&] { sent += trial->publish(messages, sent, 10); });
    elsewhere([&] { trial->ack(milliseconds(20)); });
  }
  elsewhere([&] { trial->settle(); });
  expect_alive(*trial, "calls from changing threads");
  elsewhere([&] { trial.reset(); });
}

void check_instances(const Subject& subject) {
  const Live live(subject);
  // Where a file or a queue takes one writer, the others are told to come again.
  std::atomic<int> served = 0;
  std::atomic<int> refused = 0;
  std::vector<std::thread> pipelines;
  for (int i = 0; i < 4; ++i) {
    pipelines.emplace_back([&] {
      for (int again = 0; again < 3; ++again) {
        Trial trial(*live.plugin, live.config);
        if (trial.status() == TIDE_RETRY) {
          ++refused;
          continue;
        }
        trial.deliver(make_messages(100), 20);
        expect_alive(trial, "four instances at once");
        ++served;
      }
    });
  }
  for (auto& pipeline : pipelines) pipeline.join();
  if (served == 0) broken("R9", "of four instances at once none could connect");
  if (refused > 0) note("some were told to come again while others were connected");
}

void check_batches(const Subject& subject) {
  const Live live(subject);
  Trial trial(*live.plugin, live.config);
  for (const std::size_t size : {1, 2, 1000, 1}) trial.deliver(make_messages(size), size);
  trial.publish(make_messages(10000));  // of the largest batch that the relay makes, what it takes at once
  trial.settle();
  expect_alive(trial, "batches of 1 to 10000 messages");
  note(trial.outcomes());
}

// Each may be stored or rejected, and neither may stop the rest.
void check_messages(const Subject& subject) {
  const Live live(subject);
  std::vector<Message> messages;
  for (const std::size_t size : {1U, 1U << 10, 64U << 10, 1U << 20, 8U << 20}) {
    messages.push_back(make_messages(1, size).front());
  }
  const auto add = [&](const std::function<void(Message&)>& change) {
    auto m = make_messages(1).front();
    change(m);
    messages.push_back(std::move(m));
  };
  for (const char* payload : {"0", "null", "\"\"", "[]", R"("line\nbreak")", R"("ünï → 漢字 🌊")"})
    add([&](Message& m) { m.payload = payload; });
  add([](Message& m) { m.key += std::string(1024 - m.key.size(), 'k'); });
  for (const char* odd : {" with spaces ", "/ünï→漢字", "/\"quoted\"\\", "/%0d%0a", "/*.>"})
    add([&](Message& m) { m.key += odd; });
  add([](Message& m) {
    m.headers = R"({"empty": "", "unicode": "ünï → 漢字", "line": "a\r\nb: c", "spaced name": "x"})";
  });
  add([](Message& m) {
    m.headers = "{";
    for (int i = 0; i < 200; ++i) m.headers += (i > 0 ? ", \"h" : "\"h") + std::to_string(i) + "\": \"value\"";
    m.headers += '}';
  });
  std::string outcomes;
  for (const auto& message : messages) {
    // Alone, so that what it does to the instance is known to be its own.
    Trial trial(*live.plugin, live.config);
    trial.deliver({message, make_messages(1).front()}, 2);
    const auto what = "a message with a payload of " + std::to_string(message.payload.size()) + " bytes, a key of " +
                      std::to_string(message.key.size()) + " and headers of " + std::to_string(message.headers.size());
    expect_alive(trial, what.c_str());
    for (const auto& [token, result] : trial.settled()) {
      if (result.status == TIDE_RETRY || result.status == TIDE_FATAL) {
        broken("R18", what + " was neither stored nor rejected, and would hold up all that follow: " + trial.error());
      }
      if (result.status == TIDE_REJECTED && outcomes.empty()) outcomes = "rejected, among others: " + trial.error();
    }
  }
  note(outcomes.empty() ? "all were stored" : outcomes);
}

void check_backpressure(const Subject& subject) {
  const Live live(subject);
  Trial trial(*live.plugin, live.config);
  constexpr std::size_t kMany = 10000;
  const auto messages = make_messages(kMany, 200);
  std::size_t sent = 0;
  while (trial.lives() && sent < kMany) {
    const auto taken = trial.publish(messages, sent, 500);
    sent += taken;
    if (taken < std::min<std::size_t>(500, kMany - sent + taken)) break;
  }
  note(sent < kMany ? "full at " + std::to_string(sent) + " messages in flight" : "never full");
  trial.settle();
  if (trial.lives() && sent < kMany && trial.publish(messages, sent, 1) == 0)
    broken("R15", "after results came, publish() still took no message");
  trial.settle();
  expect_alive(trial, "as many messages as it took");
}

void check_ack(const Subject& subject) {
  const Live live(subject);
  Trial trial(*live.plugin, live.config);
  for (const int timeout : {0, 0, 300}) trial.ack(milliseconds(timeout));
  const auto messages = make_messages(50);
  std::size_t sent = 0;
  while (trial.lives() && sent < messages.size()) {
    sent += trial.publish(messages, sent);
    trial.ack(milliseconds(100), 1);
  }
  auto until = Clock::now() + kPatience;
  while (trial.lives() && trial.in_flight() > 0 && Clock::now() < until) {
    if (trial.ack(milliseconds(100), 1) > 0) until = Clock::now() + kPatience;
  }
  expect_alive(trial, "results one at a time");
  if (trial.in_flight() > 0) broken("R20", "results, asked for one at a time, do not all come");
}

void check_close(const Subject& subject) {
  const Live live(subject);
  expect_no_leak([&] {
    Trial trial(*live.plugin, live.config);
    trial.publish(make_messages(100));
    trial.close(milliseconds(2000));
  });
}

void check_again(const Subject& subject) {
  const Live live(subject);
  const auto messages = make_messages(50);
  std::uint64_t position = 0;
  {
    Trial trial(*live.plugin, live.config);
    position = trial.position();
    trial.deliver(messages);
    expect_alive(trial, "the first time");
  }
  Trial trial(*live.plugin, live.config, position);
  trial.deliver(messages, 100, true);
  expect_alive(trial, "messages that may have been sent before");
  const auto duplicates = std::count_if(trial.settled().begin(), trial.settled().end(), [](const auto& settled) {
    return (settled.second.flags & TIDE_RESULT_DUPLICATE) != 0;
  });
  note(trial.outcomes() + ", " + std::to_string(duplicates) + " of them known to be there already");
}

// A loopback TCP port that refuses, or takes connections and never answers.
class DeadPort {
 public:
  explicit DeadPort(bool listens) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(fd_, reinterpret_cast<const sockaddr*>(&address), size) != 0 || (listens && ::listen(fd_, 64) != 0) ||
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw Error("no port for a sink that is down");
    port_ = ntohs(address.sin_port);
  }
  ~DeadPort() { ::close(fd_); }
  DeadPort(const DeadPort&) = delete;
  DeadPort& operator=(const DeadPort&) = delete;
  [[nodiscard]] int port() const { return port_; }

 private:
  const int fd_;
  int port_ = 0;
};

// The sink is not there: nothing may be stored or given up.
void try_without_sink(const Subject& subject, bool listens) {
  const auto plugin = load_plugin(subject.file);
  const DeadPort port(listens);
  auto spec = read_sink_config(subject.config_file);
  if (redirect(spec.sink, port.port()) == 0) {
    skipped("no option of the configuration is a URL, or a list of host:port");
    return;
  }
  const auto config = validated(spec, *plugin);
  Trial trial(*plugin, config, 0, milliseconds(3000));
  if (trial.lives()) trial.deliver(make_messages(3));
  for (const auto& [token, result] : trial.settled()) {
    if (result.status == TIDE_STORED || result.status == TIDE_REJECTED)
      broken("R23", std::string("a message was ") + (result.status == TIDE_STORED ? "stored" : "rejected") +
                        " by a sink that is not there: " + trial.error());
  }
  if (trial.status() == TIDE_FATAL) broken("R23", "an outage is TIDE_RETRY, not TIDE_FATAL: " + trial.error());
  note(trial.error());
}

void check_down(const Subject& subject) {
  try_without_sink(subject, false);
}

void check_silent(const Subject& subject) {
  try_without_sink(subject, true);
}

constexpr Check kChecks[] = {
    {"load", "descriptor, options table, exports, nothing done at load (R1 to R6)", false, true, check_load},
    {"made-up", "connects or fails by the rules with made-up options (R10 to R13, R22)", false, false, check_made_up},
    {"connect", "connects with the given configuration (R10, R11)", true, true, check_connect},
    {"results", "one result for each message, and none else (R14 to R20, R24)", true, true, check_results},
    {"threads", "calls come from changing threads (R9)", true, false, check_threads},
    {"instances", "instances run at the same time (R9)", true, false, check_instances},
    {"batches", "batches of 1 to 10000 messages (R14, R15)", true, false, check_batches},
    {"messages", "payloads to 8 MiB, odd keys and headers: stored or rejected (R18)", true, false, check_messages},
    {"backpressure", "takes what it can, and goes on when results were pulled (R15)", true, false, check_backpressure},
    {"ack", "keeps to timeout and capacity (R16)", true, false, check_ack},
    {"again", "messages that may have been sent before (R17)", true, false, check_again},
    {"close", "closes in time with messages in flight, and leaves nothing (R21, R22)", true, false, check_close},
    {"leaks", "leaves no thread, descriptor or memory behind (R22)", true, false, check_leaks},
    {"down", "a sink that refuses connections (R10, R23)", true, false, check_down},
    {"silent", "a sink that never answers (R10, R20, R21, R23)", true, false, check_silent},
};

}  // namespace

std::span<const Check> all_checks() {
  return kChecks;
}

}  // namespace tide::conformance
