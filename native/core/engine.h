// One device: threads that work off jobs in order. None of them is special, so that none is waited for.
#pragma once
#include <stdint.h>

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "bell.h"
#include "job.h"
#include "patience.h"
#include "shares.h"

namespace loquent {

/**
 * The thread that ends a batch leads: it sets up the next one, does by itself what is not worth sharing, and ends the job. A thread
 * that loses its processor therefore delays the others only where it holds a piece that cannot be repeated, commits, or leads.
 */
class Engine {
 public:
  /**
   * `cpus`: processors to keep to, one a thread, over and over. None: the system decides, but where threads are as many as
   * processors, each keeps to one. Beside a busy neighbour a system that may move them shares two processors out among three alike;
   * where they stay, only one of them shares its processor.
   */
  explicit Engine(int32_t threads, const std::vector<int32_t>& cpus = {});
  /** Drops what is queued, ends what runs, joins all threads. Every job dropped is told so. */
  ~Engine();

  void submit(std::unique_ptr<Job> job);
  int32_t threads() const { return static_cast<int32_t>(workers_.size()); }

 private:
  struct alignas(64) Worker {
    /** Pieces that this thread has done, of all batches. */
    std::atomic<uint64_t> done{0};
    /** The job that this thread may be reading, which is kept until it lets go. */
    std::atomic<Job*> inside{nullptr};
    std::atomic<uint8_t*> scratch{nullptr};
    /** When this thread came to its last batch; its own. */
    Clock::time_point begun;
    std::thread thread;
  };
  /**
   * The batch that is under way, as it is shown to all threads: one line of the caches, since between processors that share none of them every
   * line that goes over costs a third of a microsecond. What is read is the batch's if the batch has not ended after.
   */
  struct alignas(64) Shown {
    std::atomic<uint32_t> batch{0};
    /** The last batch that has ended. */
    std::atomic<uint32_t> ended{0};
    std::atomic<Job*> job{nullptr};
    /** Pieces of all batches up to this one: what all threads together have done when it has ended. */
    std::atomic<uint64_t> target{0};
    std::atomic<int32_t> pieces{0};
    std::atomic<decltype(Batch::run)> run{nullptr};
    std::atomic<decltype(Batch::commit)> commit{nullptr};
    std::atomic<const void*> context{nullptr};
    std::atomic<const void*> item{nullptr};
  };
  static_assert(sizeof(Shown) == 64);
  struct Turn {
    int32_t thread;
    uint32_t batch;
    uint64_t target;
    Batch work;
    uint8_t* scratch;
  };

  void live(int32_t thread, int32_t cpu);
  bool enter(Turn& turn);
  void work(const Turn& turn);
  void runOnce(const Turn& turn, Share& share);
  void runRepeatable(const Turn& turn, Share& share);
  void repeatOthers(const Turn& turn);
  void finish(const Turn& turn, Clock::time_point begun, int32_t pieces);
  bool complete(const Turn& turn) const;
  bool leadsFirst(int32_t thread) const;
  bool endBatch(const Turn& turn);
  void count(int32_t thread);
  bool stopped() const { return stopped_.load(std::memory_order_relaxed); }

  void lead(int32_t thread);
  bool beginJob();
  bool nextBatch(Batch& batch);
  void runAlone(const Batch& batch, uint8_t* scratch);
  void show(const Batch& batch);
  void endJob();
  void discard();
  void reserveScratch(size_t bytes);
  void await(int32_t thread, uint32_t seen);
  std::chrono::microseconds patienceOf(int32_t thread) const;

  Shown shown_;
  Shares shares_;
  std::vector<Worker> workers_;
  Patience patience_;

  // Of the thread that leads.
  /** Who led last: it leads again if it is there, as all of this lies in its caches, and it waits awake for the next job. */
  alignas(64) std::atomic<int32_t> leader_{0};
  std::unique_ptr<Job> job_;
  Clock::time_point jobBegun_;
  std::string error_;
  std::vector<std::unique_ptr<Job>> left_;
  size_t scratchBytes_ = 0;
  std::vector<uint8_t*> scratches_;

  alignas(64) std::mutex mutex_;
  std::deque<std::unique_ptr<Job>> jobs_;
  /** Whether some thread leads or a batch is under way; with the mutex. */
  bool active_ = false;
  /** A job has come while nobody led. */
  std::atomic<bool> wanted_{false};
  std::atomic<int32_t> sleepers_{0};
  Bell bell_;
  std::atomic<bool> stopped_{false};
};

}  // namespace loquent
