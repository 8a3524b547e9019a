// SPDX-License-Identifier: Apache-2.0
//
// The turns of the events in flight, stream by stream: each names the turn that it comes at, and the one after it. The
// first one after silence takes the turn, whatever it is. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

namespace tide::redis {

class Chains {
 public:
  Chains();

  struct Turn {
    std::string expected;  // empty: any
    std::string following;
  };
  Turn sent(const std::string& stream);
  void answered(const std::string& stream);

 private:
  struct Chain {
    std::string turn;
    std::size_t in_flight = 0;
  };

  std::string instance_;  // no other has the same
  std::uint64_t turns_ = 0;
  std::unordered_map<std::string, Chain> chains_;  // of streams with something in flight
};

}  // namespace tide::redis
