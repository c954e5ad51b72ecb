// What sleeping threads are woken by.
#pragma once
#include <stdint.h>

#include <atomic>

namespace loquent {

/**
 * Counts its rings. A condition variable would not do: that of the GNU library lets who wakes wait for a thread that was woken before
 * and has not come yet, which beside a busy neighbour is milliseconds.
 */
class Bell {
 public:
  /** To be read before one looks whether there is a reason to sleep. */
  uint32_t rings() const { return rings_.load(std::memory_order_seq_cst); }
  /** Sleeps until it has rung since `rings` was read; may come back sooner. */
  void sleep(uint32_t rings);
  /** Wakes all. */
  void ring();

 private:
  std::atomic<uint32_t> rings_{0};
};

}  // namespace loquent
