// SPDX-License-Identifier: Apache-2.0
//
// Whether a connection's server asked its clients to leave, because it is about to stop. cnats says so on a thread of
// its own, and perhaps only once the connection is gone: it gets a number, not a pointer. Any thread.
#pragma once

#include <nats/nats.h>

#include <atomic>
#include <cstdint>

namespace tide::nats {

class LameDuck {
 public:
  LameDuck();
  ~LameDuck();
  LameDuck(const LameDuck&) = delete;
  LameDuck& operator=(const LameDuck&) = delete;

  natsStatus listen(natsOptions* options) const;
  bool told() const { return told_.load(std::memory_order_relaxed); }

 private:
  static void tell(natsConnection*, void* number);

  std::atomic<bool> told_ = false;
  const std::uintptr_t number_;
};

}  // namespace tide::nats
