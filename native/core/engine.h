// One device: a pool, and a conductor thread that works off jobs in order, so that no caller ever waits.
#pragma once
#include <stdint.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "kernel.h"
#include "pool.h"

namespace loquent {

/** The best set the processor has, or the one named; null when there is none of that name here. */
const KernelSet* chooseKernels(const std::string& name);

struct Outcome {
  /** Empty when all went well. */
  std::string error;
  int64_t nanoseconds;
};

class Engine {
 public:
  /** `cpus`: processors to keep to, one a thread, the conductor's first; none: the system decides. */
  Engine(int32_t threads, const KernelSet& kernels, const std::vector<int32_t>& cpus = {});
  /** Drops what is queued, ends what runs, joins all threads. */
  ~Engine();

  /** `work` runs on the conductor and may throw; `done` is then called there, always, with how it went. */
  void submit(std::function<void(Pool&)> work, std::function<void(Outcome)> done);
  const KernelSet& kernels() const { return kernels_; }
  int32_t threads() const { return pool_.threads(); }

 private:
  struct Job {
    std::function<void(Pool&)> work;
    std::function<void(Outcome)> done;
  };
  void conduct(int32_t cpu);
  bool next(Job& job);
  Outcome perform(const Job& job);

  const KernelSet& kernels_;
  Pool pool_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Job> jobs_;
  std::atomic<int32_t> waiting_{0};
  std::atomic<bool> closing_{false};
  std::thread conductor_;
};

}  // namespace loquent
