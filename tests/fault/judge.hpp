// Compares what the stream and the dead letters hold with what was committed.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "support/jetstream.hpp"

namespace tide::test {

struct Verdict {
  std::size_t events = 0;        // committed
  std::size_t unsendable = 0;    // of these: must become dead letters
  std::size_t lost = 0;          // committed, and neither stored nor set aside where it should be
  std::size_t twice = 0;         // copies beyond the first
  std::size_t invented = 0;      // never committed
  std::size_t out_of_order = 0;  // stored after a later version of the same key
  std::vector<std::string> examples;

  [[nodiscard]] bool good() const { return lost + twice + invented + out_of_order == 0; }
};
std::ostream& operator<<(std::ostream& out, const Verdict& verdict);

// expected, dead: rows "key|version|nonce|sendable" and "key|version|nonce", one a line.
Verdict judge(const std::string& expected, const std::string& dead, const std::vector<Message>& stored);

}  // namespace tide::test
