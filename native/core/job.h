// What the threads of an engine work off: jobs, which are batches one after another, each of pieces in any order.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <functional>
#include <string>

namespace loquent {

/**
 * Pieces that any thread may do. `context` and `item` live as long as the job. With a `commit`, `run` leaves its result in the
 * scratch of its thread and `commit` puts it into its place: then a piece whose thread is off its processor is run by another one
 * as well, and whoever is first commits. Such a `run` may go on after the job has ended, on inputs that change under it (its result
 * is then dropped), so it reads nothing but the job and what outlives the engine's threads, and no index from memory that changes.
 */
struct Batch {
  int32_t pieces;
  void (*run)(const void* context, const void* item, int32_t piece, uint8_t* scratch);
  void (*commit)(const void* context, const void* item, int32_t piece, const uint8_t* scratch);
  const void* context;
  const void* item;
};

struct Outcome {
  /** Empty when all went well. */
  std::string error;
  int64_t nanoseconds;
};

class Job {
 public:
  virtual ~Job() = default;
  /** Scratch that every thread needs for the pieces. */
  virtual size_t scratchBytes() const = 0;
  /**
   * Sets up the next batch when the one before is done; false when there is none. Called by one thread at a time, by any of them;
   * may throw, which ends the job.
   */
  virtual bool next(Batch& batch) = 0;
  /** Called once, by any thread, when nothing of the job counts any more. */
  std::function<void(const Outcome&)> ended;
};

}  // namespace loquent
