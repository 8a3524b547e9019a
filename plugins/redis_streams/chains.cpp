// SPDX-License-Identifier: Apache-2.0
#include "chains.hpp"

#include <random>

namespace tide::redis {

Chains::Chains() {
  std::random_device random;
  instance_ = std::to_string(random()) + std::to_string(random()) + "-";
}

Chains::Turn Chains::sent(const std::string& stream) {
  auto& chain = chains_[stream];
  const Turn turn{chain.turn, instance_ + std::to_string(++turns_)};
  chain.turn = turn.following;
  ++chain.in_flight;
  return turn;
}

void Chains::answered(const std::string& stream) {
  const auto at = chains_.find(stream);
  if (--at->second.in_flight == 0) chains_.erase(at);
}

}  // namespace tide::redis
