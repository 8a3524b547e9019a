// SPDX-License-Identifier: Apache-2.0
//
// The streams that will store what a pipeline publishes, looked up through JetStream's API before the first publish.
#pragma once

#include <string>
#include <vector>

#include "connection.hpp"
#include "settings.hpp"

namespace tide::nats {

struct Stream {
  std::string name;
  std::vector<std::string> subjects;
  std::chrono::seconds duplicate_window{0};
  bool no_ack = false;
  bool sealed = false;
  bool mirror = false;
};

// The named stream, or all that the subject can reach; none when the user may not ask (the log gets a warning then).
// Throws a fatal Error with advice when there is none or one that can't be published to with acknowledgements, and a
// retry Error when JetStream does not answer before the deadline.
std::vector<Stream> find_streams(Connection& connection, const Settings& settings, Host host,
                                 Clock::time_point deadline);

}  // namespace tide::nats
