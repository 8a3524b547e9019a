// Where events come from. One thread at a time.
#pragma once

#include <cstddef>
#include <memory>

#include "base/page.hpp"

namespace tide {

class Source {
 public:
  Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  virtual ~Source() = default;

  // The next at most `limit` events after `position`, in the order of delivery; fewer once their payloads take
  // `max_bytes`, but at least one.
  virtual std::shared_ptr<const Page> read(const Position& position, std::size_t limit, std::size_t max_bytes) = 0;

  // Asks publishers to notify (or no longer to), because the relay is about to sleep (or polls anyway).
  virtual void ask_wake(bool asked) = 0;
};

}  // namespace tide
