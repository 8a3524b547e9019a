// SPDX-License-Identifier: Apache-2.0
#include "lame_duck.hpp"

#include <map>
#include <mutex>

namespace tide::nats {
namespace {

struct Listeners {
  std::mutex mutex;
  std::map<std::uintptr_t, std::atomic<bool>*> flags;
  std::uintptr_t last_number = 0;
};

// Never destroyed: cnats's thread outlives the end of main.
Listeners& listeners() {
  static Listeners& all = *new Listeners;
  return all;
}

std::uintptr_t add(std::atomic<bool>* flag) {
  Listeners& all = listeners();
  const std::lock_guard lock(all.mutex);
  all.flags[++all.last_number] = flag;
  return all.last_number;
}

}  // namespace

LameDuck::LameDuck() : number_(add(&told_)) {}

LameDuck::~LameDuck() {
  Listeners& all = listeners();
  const std::lock_guard lock(all.mutex);
  all.flags.erase(number_);
}

natsStatus LameDuck::listen(natsOptions* options) const {
  return natsOptions_SetLameDuckModeCB(options, tell, reinterpret_cast<void*>(number_));
}

void LameDuck::tell(natsConnection*, void* number) {
  Listeners& all = listeners();
  const std::lock_guard lock(all.mutex);
  if (const auto found = all.flags.find(reinterpret_cast<std::uintptr_t>(number)); found != all.flags.end())
    found->second->store(true, std::memory_order_relaxed);
}

}  // namespace tide::nats
