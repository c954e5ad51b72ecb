// What the thread of an engine that leads does: it takes jobs, sets up their batches and ends them.
#include <stdlib.h>

#include <exception>
#include <new>

#include "engine.h"

namespace loquent {

void Engine::lead(int32_t thread) {
  if (leader_.load(std::memory_order_relaxed) != thread) leader_.store(thread, std::memory_order_relaxed);
  Batch batch;
  while (!stopped()) {
    if (!job_ && !beginJob()) return;
    if (!nextBatch(batch)) {
      endJob();
    } else if (batch.pieces == 1 || threads() == 1 || batch.pieces > Shares::mostPieces) {
      runAlone(batch, workers_[static_cast<size_t>(thread)].scratch.load(std::memory_order_relaxed));
    } else if (batch.pieces > 0) {
      return show(batch);
    }
  }
}

/** Takes the next job; false when there is none, and nobody leads any more. */
bool Engine::beginJob() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (jobs_.empty()) {
      active_ = false;
      return false;
    }
    job_ = std::move(jobs_.front());
    jobs_.pop_front();
  }
  jobBegun_ = Clock::now();
  error_.clear();
  shown_.job.store(job_.get(), std::memory_order_seq_cst);
  return true;
}

bool Engine::nextBatch(Batch& batch) {
  try {
    reserveScratch(job_->scratchBytes());
    return job_->next(batch);
  } catch (const std::exception& e) {
    error_ = e.what();
  } catch (...) {
  }
  if (error_.empty()) error_ = "unknown failure";
  return false;
}

void Engine::runAlone(const Batch& batch, uint8_t* scratch) {
  for (int32_t i = 0; i < batch.pieces && !stopped(); i++) {
    batch.run(batch.context, batch.item, i, scratch);
    if (batch.commit) batch.commit(batch.context, batch.item, i, scratch);
  }
}

void Engine::show(const Batch& batch) {
  const uint32_t next = (shown_.batch.load(std::memory_order_relaxed) + 1) & batchMask;
  // After the mark that the last one has ended, which whoever still reads it looks at in the end.
  std::atomic_thread_fence(std::memory_order_release);
  shown_.target.store(shown_.target.load(std::memory_order_relaxed) + static_cast<uint64_t>(batch.pieces), std::memory_order_relaxed);
  shown_.pieces.store(batch.pieces, std::memory_order_relaxed);
  shown_.run.store(batch.run, std::memory_order_relaxed);
  shown_.commit.store(batch.commit, std::memory_order_relaxed);
  shown_.context.store(batch.context, std::memory_order_relaxed);
  shown_.item.store(batch.item, std::memory_order_relaxed);
  shown_.batch.store(next, std::memory_order_release);
  // Beside a busy neighbour waking is left to who finds that there is more to do than one thread does at once. Somebody who falls asleep at
  // this moment may be missed; his share is taken by the others.
  if (sleepers_.load(std::memory_order_relaxed) > 0 && !patience_.disturbed()) bell_.ring();
}

void Engine::endJob() {
  const auto elapsed = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - jobBegun_).count();
  shown_.job.store(nullptr, std::memory_order_seq_cst);
  if (error_.empty()) {
    job_->ended({"", elapsed});
  } else {
    job_->ended({error_, 0});
  }
  left_.push_back(std::move(job_));
  discard();
}

/** Lets go of ended jobs that no thread may be reading. */
void Engine::discard() {
  const auto read = [this](const std::unique_ptr<Job>& job) {
    for (const Worker& worker : workers_) {
      if (worker.inside.load(std::memory_order_seq_cst) == job.get()) return true;
    }
    return false;
  };
  for (size_t i = left_.size(); i-- > 0;) {
    if (!read(left_[i])) left_.erase(left_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

/** What was too small stays: a thread that comes late may be writing to it. As sizes double it is never more than what is used. */
void Engine::reserveScratch(size_t bytes) {
  if (bytes <= scratchBytes_) return;
  bytes = ((bytes > 2 * scratchBytes_ ? bytes : 2 * scratchBytes_) + 63) / 64 * 64;
  for (auto& worker : workers_) {
    auto* fresh = static_cast<uint8_t*>(aligned_alloc(64, bytes));
    if (!fresh) throw std::bad_alloc();
    scratches_.push_back(fresh);
    worker.scratch.store(fresh, std::memory_order_seq_cst);
  }
  scratchBytes_ = bytes;
}

}  // namespace loquent
