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
  bool keeps_messages = true;  // until a limit is reached; other kinds of stream drop what was consumed
  bool transforms = false;     // stores under another subject than was published to
  std::int64_t replicas = 1;
  std::uint64_t last_sequence = 0;
  std::string api_prefix;  // under which it was found
};

// The named stream, or all that the subject can reach; creates it where that is asked for and there is none. None when
// the user may not ask (the log gets a warning then). Throws a fatal Error with advice when there is none or one that
// can't be published to with acknowledgements, and a retry Error when JetStream does not answer before the deadline.
std::vector<Stream> find_streams(Connection& connection, const Settings& settings, Host host,
                                 Clock::time_point deadline);

// The API request for a stream's information, and the last sequence in its answer. Throws a retry Error when there is
// none.
std::string info_request(const std::string& stream);
std::uint64_t last_sequence_of(std::string_view info_answer);

}  // namespace tide::nats
