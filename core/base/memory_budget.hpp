// What all pipelines of the relay may hold of events together. Any thread.
#pragma once

#include <atomic>
#include <cstddef>

namespace tide {

class MemoryBudget {
 public:
  explicit MemoryBudget(std::size_t bytes) : bytes_(bytes) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  [[nodiscard]] bool spent() const { return used_.load(std::memory_order_relaxed) >= bytes_; }

  // One holder's share; what it holds is given back with it.
  class Share {
   public:
    explicit Share(MemoryBudget& budget) : budget_(budget) {}
    ~Share() { set(0); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    void set(std::size_t bytes) {
      budget_.used_.fetch_add(bytes - held_, std::memory_order_relaxed);  // may wrap, and comes out right
      held_ = bytes;
    }

   private:
    MemoryBudget& budget_;
    std::size_t held_ = 0;
  };

 private:
  const std::size_t bytes_;
  std::atomic<std::size_t> used_ = 0;
};

}  // namespace tide
