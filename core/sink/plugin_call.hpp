// A call into a plugin, while it lasts: so that a call that hangs is told, and a crash names the plugin. Any thread.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "sink/plugin.hpp"

namespace tide {

class PluginCall {
 public:
  // name: the operation, a literal. pipeline and plugin outlive the call. limit: after that long it is overdue.
  PluginCall(const Plugin& plugin, const char* name, const std::string& pipeline, std::chrono::milliseconds limit);
  ~PluginCall();
  PluginCall(const PluginCall&) = delete;
  PluginCall& operator=(const PluginCall&) = delete;

 private:
  friend struct CallRegistry;
  const Plugin& plugin_;
  const char* const name_;
  const std::string& pipeline_;
  const std::chrono::steady_clock::time_point since_;
  const std::chrono::milliseconds limit_;
  const PluginCall* const outer_;
};

struct OverdueCall {
  std::string pipeline;
  std::string call;  // "connect"
  std::string text;  // which plugin hangs in which call, and for how long
};

// The calls that have not returned in time.
std::vector<OverdueCall> overdue_calls();

// From now on a fatal signal first says on stderr which plugin was being called, then ends the process as it would
// have.
void name_plugin_on_crash();

}  // namespace tide
