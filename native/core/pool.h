// A pool of compute threads that take pieces of one job at a time from a counter.
#pragma once
#include <stdint.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace loquent {

using Task = void (*)(void* context, int32_t task, uint8_t* scratch);

/**
 * `run` is called by one thread, the conductor, which works too. No thread is given a share: each takes the next piece,
 * so one that the system has descheduled delays the job by its own piece at most, and one that never wakes by nothing.
 */
class Pool {
 public:
  /** Thread i keeps to the i-th of `cpus`, over and over; none: the system decides. The conductor pins itself. */
  explicit Pool(int32_t threads, std::vector<int32_t> cpus = {});
  ~Pool();

  int32_t threads() const { return threads_; }
  /** Gives every thread at least so much scratch; not while a job runs. */
  void reserveScratch(size_t bytes);
  /** Runs all pieces and returns when the last is done. Pieces not begun when `stop` is called are dropped. */
  void run(int32_t tasks, Task task, void* context);
  /** Ends a running job early and lets the threads go; any thread may call it. */
  void stop();
  bool stopped() const { return stopped_.load(std::memory_order_relaxed); }

 private:
  bool takeOne(int32_t worker);
  bool hasWork() const;
  void work(int32_t worker);
  void awaitDone(int32_t tasks);

  // One word tells how many pieces there are and which is next, so that claiming is one addition, and a thread that
  // comes late (even into the next job) either claims a valid piece of the job that is current or none.
  std::atomic<uint64_t> ticket_{0};
  std::atomic<Task> task_{nullptr};
  std::atomic<void*> context_{nullptr};
  alignas(64) std::atomic<int32_t> done_{0};
  std::atomic<bool> conductorWaits_{false};
  std::atomic<int32_t> sleepers_{0};
  std::atomic<bool> stopped_{false};

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable finished_;
  int32_t threads_;
  std::vector<int32_t> cpus_;
  std::vector<uint8_t*> scratch_;
  size_t scratchBytes_ = 0;
  std::vector<std::thread> workers_;
};

/** Tells the processor that this is a waiting loop. */
void relax();

/** Spins a few tens of microseconds for `ready`; false when it did not come. */
template <typename Ready>
bool spinUntil(Ready ready) {
  constexpr auto patience = std::chrono::microseconds(50);
  constexpr int between = 64;
  const auto begin = std::chrono::steady_clock::now();
  do {
    for (int i = 0; i < between; i++) {
      if (ready()) return true;
      relax();
    }
  } while (std::chrono::steady_clock::now() - begin < patience);
  return false;
}

}  // namespace loquent
