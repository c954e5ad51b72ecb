// A compiled program: records checked once, then a walk over function pointers.
#pragma once
#include <stdint.h>

#include <atomic>
#include <memory>
#include <vector>

#include "kernel.h"
#include "job.h"
#include "memory.h"

namespace loquent {

struct Arenas {
  std::shared_ptr<Memory> weights, activations, cache;
};

/**
 * Owns its words and its arenas. The constructor refuses, with std::runtime_error, any record that could touch memory
 * outside the arenas and the frame; a step refuses a frame whose indices could.
 */
class Plan {
 public:
  Plan(std::vector<int32_t> words, Arenas arenas, const KernelSet& set);

  size_t scratchBytes() const { return scratchBytes_; }
  size_t frameBytes() const { return frameBytes_; }
  /** Lets the arenas go; the plan cannot run after. */
  void release() {
    arenas_ = {};
    shared_ = nullptr;
  }
  /** One step, for `threads` threads. The frame is the caller's to keep until the job has ended. */
  static std::unique_ptr<Job> step(std::shared_ptr<const Plan> plan, uint8_t* frame, int32_t threads);
  size_t instructions() const { return instructions_.size(); }
  /** Time that an instruction has taken in all steps so far; any thread may ask. */
  int64_t nanoseconds(size_t instruction) const { return spent_[instruction].load(std::memory_order_relaxed); }

 private:
  struct Instruction {
    const Kernel* kernel;
    const int32_t* record;
  };
  class Run;
  void readCaches(const int32_t* words);
  void readInstructions(const int32_t* words, const int32_t* end, int32_t count, const KernelSet& set);
  void checkFrame(const Step& step) const;

  std::vector<int32_t> words_;
  Arenas arenas_;
  const ProgramHeader* header_;
  const int32_t* fields_;
  std::vector<Cache> caches_;
  std::vector<Instruction> instructions_;
  std::shared_ptr<Memory> shared_;
  std::unique_ptr<std::atomic<int64_t>[]> spent_;
  /** Steps so far, counted by who leads. */
  mutable std::atomic<int64_t> steps_{0};
  size_t scratchBytes_ = 0;
  size_t frameBytes_ = 0;
  /** Look-ups whose ids must be below the rows of their table. */
  std::vector<const op::Embedding*> lookups_;
};

}  // namespace loquent
