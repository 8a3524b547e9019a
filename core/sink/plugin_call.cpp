#include "sink/plugin_call.hpp"

#include <unistd.h>

#include <csignal>
#include <cstring>
#include <mutex>
#include <set>
#include <string_view>

namespace tide {

namespace {

using Clock = std::chrono::steady_clock;

thread_local const PluginCall* current = nullptr;

}  // namespace

struct CallRegistry {
  std::mutex mutex;
  std::set<const PluginCall*> calls;

  static CallRegistry& instance() {
    static auto& registry = *new CallRegistry;  // outlives every thread that hangs in a call
    return registry;
  }

  std::vector<OverdueCall> overdue() {
    const auto now = Clock::now();
    std::vector<OverdueCall> found;
    const std::lock_guard lock(mutex);
    for (const auto* call : calls) {
      const auto lasts = std::chrono::duration_cast<std::chrono::milliseconds>(now - call->since_);
      if (lasts < call->limit_) continue;
      found.push_back({call->pipeline_, call->name_,
                       "the plugin " + call->plugin_.id + " (" + call->plugin_.file.string() + ") hangs in its " +
                           call->name_ + "() for " + std::to_string(lasts.count() / 1000) + " s"});
    }
    return found;
  }

  // Only what a signal handler may do.
  static void tell(int signal) noexcept {
    char text[1024];
    std::size_t size = 0;
    const auto put = [&](std::string_view part) {
      const auto take = part.size() < sizeof text - size ? part.size() : sizeof text - size;
      std::memcpy(text + size, part.data(), take);
      size += take;
    };
    put("tide-relay: ");
    put(signal == SIGSEGV  ? "SIGSEGV"
        : signal == SIGBUS ? "SIGBUS"
        : signal == SIGFPE ? "SIGFPE"
        : signal == SIGILL ? "SIGILL"
                           : "SIGABRT");
    if (current == nullptr) {
      put(" outside every call to a plugin on this thread\n");
    } else {
      put(" in the plugin ");
      put(current->plugin_.id);
      put(" (");
      put(current->plugin_.file.native());
      put("), in its ");
      put(current->name_);
      put("()");
      if (!current->pipeline_.empty()) {
        put(" for pipeline '");
        put(current->pipeline_);
        put("'");
      }
      put(": the plugin is faulty, or a library that it uses (rule R8)\n");
    }
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text, size);
  }
};

PluginCall::PluginCall(const Plugin& plugin, const char* name, const std::string& pipeline,
                       std::chrono::milliseconds limit)
    : plugin_(plugin), name_(name), pipeline_(pipeline), since_(Clock::now()), limit_(limit), outer_(current) {
  auto& registry = CallRegistry::instance();
  const std::lock_guard lock(registry.mutex);
  registry.calls.insert(this);
  current = this;
}

PluginCall::~PluginCall() {
  auto& registry = CallRegistry::instance();
  const std::lock_guard lock(registry.mutex);
  registry.calls.erase(this);
  current = outer_;
}

std::vector<OverdueCall> overdue_calls() {
  return CallRegistry::instance().overdue();
}

void name_plugin_on_crash() {
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    struct sigaction before {};
    ::sigaction(signal, nullptr, &before);
    if (before.sa_handler != SIG_DFL) continue;  // a sanitizer's
    struct sigaction action {};
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
    action.sa_handler = [](int number) {
      CallRegistry::tell(number);
      std::raise(number);
    };
    ::sigaction(signal, &action, nullptr);
  }
}

}  // namespace tide
