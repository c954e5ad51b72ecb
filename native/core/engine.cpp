#include "engine.h"

#include <stdlib.h>

#include <exception>
#include <new>
#include <stdexcept>

#include "affinity.h"

namespace loquent {

namespace {

using std::chrono::microseconds;

/** Awake for other threads within a job. */
constexpr auto calmTurn = microseconds(1000), busyTurn = microseconds(20);
/** Awake for the next job: the thread that led last, and the others. */
constexpr auto calmLeader = microseconds(300), busyLeader = microseconds(50), calmOther = microseconds(20);
/** A piece that takes others so much longer than one's own, and at least so long, is begun again. */
constexpr int tooLong = 2;
constexpr auto leastTooLong = microseconds(3);

}  // namespace

Engine::Engine(int32_t threads, const std::vector<int32_t>& cpus) : shares_(threads), workers_(static_cast<size_t>(threads)) {
  for (int32_t i = 0; i < threads; i++) {
    const int32_t cpu = cpus.empty() ? -1 : cpus[static_cast<size_t>(i) % cpus.size()];
    workers_[static_cast<size_t>(i)].thread = std::thread([this, i, cpu] { live(i, cpu); });
  }
}

Engine::~Engine() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopped_.store(true, std::memory_order_seq_cst);
  }
  wake_.notify_all();
  for (auto& worker : workers_) worker.thread.join();
  const Outcome closed = {"the backend was closed", 0};
  if (job_) job_->ended(closed);
  for (const auto& job : jobs_) job->ended(closed);
  for (auto* scratch : scratches_) free(scratch);
}

void Engine::submit(std::unique_ptr<Job> job) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    jobs_.push_back(std::move(job));
    if (active_) return;
    active_ = true;
    wanted_.store(true, std::memory_order_seq_cst);
    // Who is awake looks; but beside a busy neighbour it may be waiting for its processor.
    if (sleepers_.load(std::memory_order_relaxed) < threads() && !patience_.disturbed()) return;
  }
  wake_.notify_one();
}

// What every thread does.

void Engine::live(int32_t thread, int32_t cpu) {
  if (cpu >= 0) pinThread(cpu);
  uint32_t seen = 0;
  while (!stopped()) {
    Turn turn;
    turn.thread = thread;
    turn.batch = batch_.load(std::memory_order_seq_cst);
    if (turn.batch != seen) {
      if (!enter(turn)) continue;
      seen = turn.batch;
      work(turn);
    } else if (wanted_.exchange(false, std::memory_order_seq_cst)) {
      lead(thread);
    } else {
      await(thread, seen);
    }
  }
}

/** Reads what the batch is; false when another has begun meanwhile. */
bool Engine::enter(Turn& turn) {
  Worker& self = workers_[static_cast<size_t>(turn.thread)];
  Job* job = shown_.job.load(std::memory_order_seq_cst);
  // Shown before it is looked at again: whoever lets the job go after that look sees that somebody is inside.
  if (self.inside.load(std::memory_order_relaxed) != job) self.inside.store(job, std::memory_order_seq_cst);
  turn.target = shown_.target.load(std::memory_order_relaxed);
  turn.work = {0, shown_.run.load(std::memory_order_relaxed), shown_.commit.load(std::memory_order_relaxed),
               shown_.context.load(std::memory_order_relaxed), shown_.item.load(std::memory_order_relaxed)};
  turn.scratch = self.scratch.load(std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return batch_.load(std::memory_order_seq_cst) == turn.batch && shown_.job.load(std::memory_order_seq_cst) == job;
}

void Engine::count(int32_t thread) {
  auto& done = workers_[static_cast<size_t>(thread)].done;
  done.store(done.load(std::memory_order_relaxed) + 1, std::memory_order_seq_cst);
}

void Engine::work(const Turn& turn) {
  const auto begun = Clock::now();
  const uint64_t before = workers_[static_cast<size_t>(turn.thread)].done.load(std::memory_order_relaxed);
  Share share = shares_.of(turn.thread);
  do {
    while (share.batch == turn.batch && !share.empty() && !stopped()) {
      if (turn.work.commit) {
        runRepeatable(turn, share);
      } else {
        runOnce(turn, share);
      }
    }
    if (!shares_.steal(turn.thread, turn.batch, turn.work.commit != nullptr)) break;
    // There is more than this thread's own part to do: somebody sleeps, or is slow.
    if (sleepers_.load(std::memory_order_relaxed) > 0) wake();
    share = shares_.of(turn.thread);
  } while (!stopped());
  const uint64_t after = workers_[static_cast<size_t>(turn.thread)].done.load(std::memory_order_relaxed);
  finish(turn, begun, static_cast<int32_t>(after - before));
}

void Engine::runOnce(const Turn& turn, Share& share) {
  const int32_t piece = share.begin;
  if (!shares_.strike(turn.thread, share)) return;
  turn.work.run(turn.work.context, turn.work.item, piece, turn.scratch);
  count(turn.thread);
}

void Engine::runRepeatable(const Turn& turn, Share& share) {
  if (!shares_.start(turn.thread, share)) return;
  const int32_t piece = share.begin;
  turn.work.run(turn.work.context, turn.work.item, piece, turn.scratch);
  if (!shares_.strike(turn.thread, share)) return patience_.disturb();
  turn.work.commit(turn.work.context, turn.work.item, piece, turn.scratch);
  count(turn.thread);
}

/** Does over what other threads are at, for as long as there is something. */
void Engine::repeatOthers(const Turn& turn) {
  for (;;) {
    const int32_t other = shares_.lastAtWork(turn.thread, turn.batch);
    if (other < 0 || stopped()) return;
    Share share = shares_.of(other);
    if (share.batch != turn.batch || share.empty()) continue;
    const int32_t piece = share.begin;
    turn.work.run(turn.work.context, turn.work.item, piece, turn.scratch);
    if (!shares_.strike(other, share)) continue;
    turn.work.commit(turn.work.context, turn.work.item, piece, turn.scratch);
    count(turn.thread);
    patience_.disturb();
  }
}

/** Whether all pieces are done; exactly one of the threads that ask then leads. */
bool Engine::endBatch(const Turn& turn) {
  uint64_t done = 0;
  for (const Worker& worker : workers_) done += worker.done.load(std::memory_order_seq_cst);
  if (done != turn.target) return false;
  uint32_t before = (turn.batch - 1) & batchMask;
  if (ended_.compare_exchange_strong(before, turn.batch, std::memory_order_seq_cst)) lead(turn.thread);
  return true;
}

void Engine::finish(const Turn& turn, Clock::time_point begun, int32_t pieces) {
  const auto gone = [&] { return batch_.load(std::memory_order_seq_cst) != turn.batch || stopped(); };
  if (endBatch(turn)) return;
  const auto ready = [&] { return gone() || endBatch(turn); };
  if (turn.work.commit) {
    const auto own = pieces > 0 ? (Clock::now() - begun) / pieces * tooLong : leastTooLong * tooLong;
    const auto limit = own > leastTooLong ? own : leastTooLong;
    if (patience_.wait([&] { return limit; }, ready)) return;
    repeatOthers(turn);
  }
  patience_.wait([&] { return patienceOf(turn.thread); }, ready);
}

/** Until there is a batch after `seen`, or a job that nobody leads. */
void Engine::await(int32_t thread, uint32_t seen) {
  Worker& self = workers_[static_cast<size_t>(thread)];
  const auto ready = [&] {
    return batch_.load(std::memory_order_seq_cst) != seen || wanted_.load(std::memory_order_seq_cst) || stopped();
  };
  if (patience_.wait([&] { return patienceOf(thread); }, ready)) return;
  // A sleeper reads nothing, and keeps no job.
  self.inside.store(nullptr, std::memory_order_seq_cst);
  std::unique_lock<std::mutex> lock(mutex_);
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  wake_.wait(lock, ready);
  sleepers_.fetch_sub(1, std::memory_order_seq_cst);
}

microseconds Engine::patienceOf(int32_t thread) const {
  const bool busy = patience_.disturbed();
  if (shown_.job.load(std::memory_order_relaxed)) return busy ? busyTurn : calmTurn;
  // Between jobs the caller needs a processor; one thread is enough to begin the next.
  if (leader_.load(std::memory_order_relaxed) != thread) return calmOther;
  return busy ? busyLeader : calmLeader;
}

void Engine::wake() {
  // Taken so that nobody who has just looked misses it.
  { std::lock_guard<std::mutex> lock(mutex_); }
  wake_.notify_all();
}

// What the thread that leads does.

void Engine::lead(int32_t thread) {
  leader_.store(thread, std::memory_order_relaxed);
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
  const uint32_t next = (batch_.load(std::memory_order_relaxed) + 1) & batchMask;
  shown_.target.store(shown_.target.load(std::memory_order_relaxed) + static_cast<uint64_t>(batch.pieces), std::memory_order_relaxed);
  shown_.run.store(batch.run, std::memory_order_relaxed);
  shown_.commit.store(batch.commit, std::memory_order_relaxed);
  shown_.context.store(batch.context, std::memory_order_relaxed);
  shown_.item.store(batch.item, std::memory_order_relaxed);
  shares_.deal(next, batch.pieces);
  batch_.store(next, std::memory_order_seq_cst);
  // Beside a busy neighbour waking is left to who finds that there is more to do than one thread does at once.
  if (sleepers_.load(std::memory_order_seq_cst) > 0 && !patience_.disturbed()) wake();
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
