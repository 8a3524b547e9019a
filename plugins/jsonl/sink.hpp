// SPDX-License-Identifier: Apache-2.0
//
// The sink "jsonl": one line per event, to a file or to standard output. The relay serialises the calls.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "file.hpp"
#include "settings.hpp"
#include "standard_output.hpp"
#include "tide/sink.hpp"

namespace tide::jsonl {

class JsonlSink {
 public:
  static constexpr SinkInfo info{.id = "jsonl",
                                 .sink_types = "jsonl",
                                 .version = TIDE_PLUGIN_VERSION,
                                 .description = "Writes one line of JSON per event, to a file or to standard output",
                                 .capabilities = TIDE_CAP_ORDERED,
                                 .options = option_table};

  JsonlSink(Host host, const Config& config);

  std::size_t publish(const Batch& batch);
  void ack(Results& results, std::chrono::milliseconds timeout);
  void close(std::chrono::milliseconds deadline);

 private:
  struct Written {
    std::uint64_t token;
    std::uint64_t position;  // the end of its line
    bool was_there;
  };

  void append_line(std::string& out, const tide_message& event) const;
  void look_what_is_there();
  void mend();
  std::size_t publish_to_file(const Batch& batch);
  std::size_t publish_to_output(const Batch& batch);
  std::optional<std::uint64_t> find(const tide_message& event);

  const Settings settings_;
  const std::uint64_t position_;  // where the pipeline stood; 0: nothing is known
  std::optional<File> file_;
  std::optional<StandardOutput> output_;  // one of the two
  bool mended_ = false;
  std::optional<std::uint64_t> standing_;  // to be told by the first ack
  // What an earlier instance wrote beyond the position: quoted key, end of the line. Until nothing is in doubt any
  // more.
  std::multimap<std::string, std::uint64_t, std::less<>> there_;
  std::map<std::uint64_t, std::uint64_t> open_;  // those whose event has no result yet: end, begin
  std::deque<Written> written_;
  std::string lines_;
  std::string key_;
  std::chrono::steady_clock::time_point check_at_{};
};

}  // namespace tide::jsonl
