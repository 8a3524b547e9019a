// The log: text or JSON lines on stderr. Any thread. A plugin logs through the host, which ends up here.
#pragma once

#include <spdlog/spdlog.h>

#include <string>
#include <string_view>

namespace tide {

// level: debug, info, warn or error. format: text or json.
void set_up_log(const std::string& level, const std::string& format);

}  // namespace tide
