// Waiting: awake where that is soonest, asleep where somebody else needs the processor.
#pragma once
#include <stdint.h>

#include <atomic>
#include <chrono>

namespace loquent {

using Clock = std::chrono::steady_clock;

/** Tells the processor that this is a waiting loop. */
void relax();

/**
 * How long threads wait awake. A sleeping thread takes tens of microseconds to come back (on a virtual machine its processor is
 * given away meanwhile), a step has hundreds of moments to wait: as long as nobody else wants the processors, waiting awake is
 * twice as fast. Beside a busy neighbour the thread that is waited for may need the very processor that waits. So threads watch
 * whether they are put off their processors, and are short of patience for a while when they are.
 */
class Patience {
 public:
  /** A thread found that it, or another, had been put off its processor. */
  void disturb() { disturbedAt_.store(ticks(), std::memory_order_relaxed); }
  /** A thread has last been here so long ago; notes when another process had its processor. */
  void look(int32_t thread, Clock::duration ago) {
    if (ago < turnOfAnother || !wasPutOff()) return;
    disturb();
    lastPutOff_.store(thread, std::memory_order_relaxed);
  }
  /** The thread whose processor a busy neighbour has had last; -1: none. */
  int32_t lastPutOff() const { return lastPutOff_.load(std::memory_order_relaxed); }
  bool disturbed() const { return ticks() - disturbedAt_.load(std::memory_order_relaxed) < memory; }

  /** Waits awake for `ready`, no longer than `limit` says now and then; false when it did not come. */
  template <typename Limit, typename Ready>
  bool wait(Limit limit, Ready ready) {
    constexpr int between = 16;
    const auto begin = Clock::now();
    auto last = begin;
    for (;;) {
      for (int i = 0; i < between; i++) {
        if (ready()) return true;
        relax();
      }
      const auto now = Clock::now();
      if (now - last > gap && wasPutOff()) disturb();
      last = now;
      if (now - begin >= limit()) return false;
    }
  }

 private:
  static constexpr int64_t memory = 50'000'000;
  static constexpr std::chrono::microseconds gap{200};
  /** What has something to do for a moment, such as the caller, goes sooner. */
  static constexpr std::chrono::microseconds turnOfAnother{1000};
  static int64_t ticks() { return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count(); }
  /**
   * Whether this thread has been put off its processor by another one since it was last asked. The other reason for a gap is that a
   * virtual machine was put off its own, where sleeping would not help.
   */
  static bool wasPutOff();

  std::atomic<int64_t> disturbedAt_{-memory};
  std::atomic<int32_t> lastPutOff_{-1};
};

}  // namespace loquent
