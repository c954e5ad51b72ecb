// What `open` gives: an engine, and the way its results travel back to the JS thread that opened it.
#pragma once
#include <memory>
#include <string>

#include "../core/engine.h"
#include "../core/plan.h"
#include "call.h"

namespace loquent::js {

/** Memory that JS sees as an ArrayBuffer. Empty once its device is closed. */
struct Arena {
  std::shared_ptr<Memory> memory;
};

/** Belongs to one JS thread; every member is called there. */
class Device : public std::enable_shared_from_this<Device> {
 public:
  static std::shared_ptr<Device> open(napi_env env, int32_t threads, const KernelSet& kernels, const std::vector<int32_t>& cpus);
  ~Device();

  /**
   * Queues a job; the promise that is returned resolves with its nanoseconds or rejects with its error. `kept` is held
   * against collection until then.
   */
  napi_value submit(std::unique_ptr<Job> job, napi_value kept);
  int32_t threads() const { return threads_; }
  const KernelSet& kernels() const { return *kernels_; }
  /** Remembers what `close` must let go. `buffer` shows the memory of the arena. */
  void adopt(const std::shared_ptr<Arena>& arena, napi_value buffer);
  void adopt(const std::shared_ptr<Plan>& plan) { plans_.push_back(plan); }
  /**
   * Ends what runs (its promise rejects), joins the threads, detaches the buffers of its arenas and frees them: a model
   * that is unloaded gives its memory back now and not when the collector comes. Idempotent.
   */
  void close();

 private:
  struct Pledge;
  Device(napi_env env, const KernelSet& kernels, int32_t threads) : env_(env), kernels_(&kernels), threads_(threads) {}
  void endThreads();
  void settle(Pledge& pledge);
  static void settleFromQueue(napi_env env, napi_value, void*, void* data);
  static void onEnvironmentEnd(void* data);

  napi_env env_;
  const KernelSet* kernels_;
  int32_t threads_;
  std::unique_ptr<Engine> engine_;
  napi_threadsafe_function queue_ = nullptr;
  int64_t inFlight_ = 0;
  struct Adopted {
    std::shared_ptr<Arena> arena;
    napi_ref buffer;
  };
  std::vector<Adopted> arenas_;
  std::vector<std::weak_ptr<Plan>> plans_;
};

}  // namespace loquent::js
