// SPDX-License-Identifier: Apache-2.0
//
// Which keys a stream holds after the last confirmed position: a message in doubt that is among them was stored by an
// earlier connection and is not sent again, however long ago that was. The headers are read through a consumer of
// its own that lives for the time of reading, in slices, while the sink's ack pumps the connection. One thread at a
// time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "connection.hpp"
#include "stream.hpp"

namespace tide::nats {

class HeldKeys {
 public:
  // Reads what the stream holds from the sequence `first` on; subject_filters are what this pipeline publishes to.
  HeldKeys(Host host, const Stream& stream, std::uint64_t first, const std::vector<std::string>& subject_filters);

  // Starts reading; at the first call only.
  void read(Connection& connection);
  bool reading() const { return state_ == State::creating || state_ == State::reading; }
  bool ready() const { return state_ == State::ready; }

  // Every reply that answers no publish. Throws a retry Error when reading failed for now.
  void take(Connection& connection, const Reply& reply);

  // Goes on without, and says so in the log: the duplicate window has to do.
  void give_up(std::string_view why);

  // The sequence of the stored message with this key. Only when ready.
  std::optional<std::uint64_t> find(std::string_view key);

  // The first sequence whose key nobody has asked for; nothing when there is none. Whether it is this pipeline's or
  // another writer's, it may be in doubt yet.
  std::optional<std::uint64_t> first_open() const;

  // Logs, once, how much was read and found.
  void tell();

 private:
  enum class State { waiting, creating, reading, ready };

  void created(Connection& connection, std::string_view answer);
  void delivered(const Reply& delivery);
  void go_on(Connection& connection, bool at_end);
  void pull(Connection& connection, bool wait_for_more);
  void finish(Connection& connection);

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  Host host_;
  const std::string stream_;
  const std::string filter_;  // empty: all subjects
  const std::uint64_t first_;
  const std::uint64_t last_;  // the stream's last sequence when the connection was made
  const bool replicated_;
  const std::string api_prefix_;  // for advice

  State state_ = State::waiting;
  Clock::time_point begun_{};
  std::string consumer_;
  std::uint64_t expected_ = 0;  // headers to read, as the consumer counted them
  std::uint64_t read_ = 0;
  std::uint64_t sequence_ = 0;  // of the last one read
  std::uint64_t pending_ = 0;   // what the consumer still has, by its last word
  std::uint64_t asked_ = 0;     // of the running pull, not yet delivered
  std::size_t bytes_ = 0;       // what the keys take
  struct Held {
    std::uint64_t sequence;
    bool found;
  };
  std::vector<Held> held_;  // by sequence
  std::size_t first_open_ = 0;
  std::unordered_map<std::string, std::size_t, Hash, std::equal_to<>> places_;  // in held_, by key

  std::uint64_t looked_up_ = 0;
  std::uint64_t found_ = 0;
  std::chrono::milliseconds took_{0};
  bool told_ = false;
};

}  // namespace tide::nats
