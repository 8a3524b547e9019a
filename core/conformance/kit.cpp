#include "conformance/kit.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <iomanip>
#include <iostream>
#include <string_view>
#include <thread>
#include <vector>

#include "conformance/findings.hpp"
#include "sink/plugin_call.hpp"

namespace tide::conformance {

namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kCheckDeadline{180};  // should even the watch inside the check fail
// Exit codes of a check.
constexpr int kOk = 0;
constexpr int kBroke = 1;
constexpr int kMisconfigured = 2;  // it has said why
constexpr int kHung = 3;           // a call did not return

struct Outcome {
  std::vector<std::string> broken;
  std::string skipped;
  std::string note;
  std::string said;  // whatever else came, the last of it
};

void sort_in(Outcome& outcome, const std::string& line) {
  const auto rest = [&](std::string_view tag) { return line.substr(tag.size()); };
  if (line.starts_with(kBroken)) {
    outcome.broken.push_back(rest(kBroken));
  } else if (line.starts_with(kSkipped)) {
    outcome.skipped = rest(kSkipped);
  } else if (line.starts_with(kNote)) {
    outcome.note = rest(kNote);
  } else if (!line.empty()) {
    outcome.said = line;
  }
}

// What a child writes, until it has closed its side or time is up.
std::string read_all(int fd, Clock::time_point until) {
  std::string text;
  char buffer[4096];
  while (true) {
    const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
    pollfd waiting{fd, POLLIN, 0};
    if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) == 0) return text;
    const auto size = ::read(fd, buffer, sizeof buffer);
    if (size <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(size));
  }
}

Outcome run_in_child(const Subject& subject, const Check& check) {
  Outcome outcome;
  std::vector<std::string> words{"tide-relay", "plugins", "test", subject.file, "--check", check.name};
  if (!subject.config_file.empty()) words.insert(words.end(), {"--sink-config", subject.config_file});
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw Error(std::string("no pipe: ") + std::strerror(errno));
  posix_spawn_file_actions_t streams;
  ::posix_spawn_file_actions_init(&streams);
  ::posix_spawn_file_actions_adddup2(&streams, ends[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&streams, ends[1], STDERR_FILENO);
  pid_t pid = -1;
  const int failed = ::posix_spawn(&pid, "/proc/self/exe", &streams, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&streams);
  ::close(ends[1]);
  if (failed != 0) throw Error(std::string("can not start a check: ") + std::strerror(failed));

  const auto text = read_all(ends[0], Clock::now() + kCheckDeadline);
  ::close(ends[0]);
  // It may have closed its side and go on for ever. Nothing waits for a process and a time, so that it is asked.
  int status = 0;
  const auto until = Clock::now() + milliseconds(2000);
  while (::waitpid(pid, &status, WNOHANG) == 0) {
    if (Clock::now() > until) ::kill(pid, SIGKILL);
    ::poll(nullptr, 0, 5);
  }
  for (std::size_t from = 0; from < text.size();) {
    const auto end = std::min(text.find('\n', from), text.size());
    sort_in(outcome, text.substr(from, end - from));
    from = end + 1;
  }
  if (WIFSIGNALED(status)) {
    outcome.broken.push_back("R8: " + (WTERMSIG(status) == SIGKILL ? "it hangs, and was ended" : outcome.said));
  } else if (WEXITSTATUS(status) == kMisconfigured) {
    throw ConfigError({{"", outcome.said}});
  } else if (WEXITSTATUS(status) > kHung) {
    outcome.broken.push_back("R8: it ended the process with exit code " + std::to_string(WEXITSTATUS(status)));
  } else if (WEXITSTATUS(status) != kOk && outcome.broken.empty()) {
    outcome.broken.push_back(outcome.said);
  } else if (check.name == std::string_view("load") && !outcome.said.empty()) {
    outcome.broken.push_back("R1: loading it wrote: " + outcome.said);
  }
  return outcome;
}

const char* rule_of(const std::string& call) {
  if (call == "connect") return "R10";
  if (call == "publish") return "R14";
  if (call == "ack") return "R16";
  if (call == "close") return "R21";
  return "R1";
}

}  // namespace

void run_check(const Subject& subject, const std::string& name) {
  // A call that hangs can not be ended, so the process is.
  const std::jthread watch([](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      ::poll(nullptr, 0, 100);
      for (const auto& call : overdue_calls()) {
        broken(rule_of(call.call), call.text);
        std::_Exit(kHung);
      }
    }
  });
  int code = kBroke;
  try {
    for (const auto& check : all_checks()) {
      if (check.name == name) check.run(subject);
    }
    code = any_broken() ? kBroke : kOk;
  } catch (const ConfigError& e) {
    std::cerr << e.what() << std::endl;
    code = kMisconfigured;
  } catch (const std::exception& e) {
    std::cerr << e.what() << std::endl;
  }
  std::_Exit(code);
}

bool test_plugin(const Subject& subject) {
  int passed = 0;
  int failed = 0;
  int skipped = 0;
  std::string stopped_by;
  const auto say = [](const char* word, const Check& check, const std::string& text) {
    std::cout << std::left << std::setw(8) << word << std::setw(13) << check.name << text << std::endl;
  };
  for (const auto& check : all_checks()) {
    if (check.needs_config && subject.config_file.empty()) {
      say("skipped", check, "needs --sink-config");
      ++skipped;
      continue;
    }
    if (!stopped_by.empty()) {
      say("skipped", check, "the check " + stopped_by + " failed");
      ++skipped;
      continue;
    }
    const auto outcome = run_in_child(subject, check);
    if (!outcome.broken.empty()) {
      say("FAILED", check, check.what);
      for (const auto& fault : outcome.broken) std::cout << std::string(21, ' ') << fault << std::endl;
      ++failed;
      if (check.needed_by_rest) stopped_by = check.name;
    } else if (!outcome.skipped.empty()) {
      say("skipped", check, outcome.skipped);
      ++skipped;
    } else {
      say("ok", check, check.what + (outcome.note.empty() ? "" : ": " + outcome.note));
      ++passed;
    }
  }
  std::cout << passed << " passed, " << failed << " failed, " << skipped << " skipped" << std::endl;
  if (failed > 0) std::cout << "What the rules say stands in docs/abi.md and in tide/sink.h." << std::endl;
  return failed == 0;
}

}  // namespace tide::conformance
