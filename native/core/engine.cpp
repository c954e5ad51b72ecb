#include "engine.h"

#include <stdlib.h>

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
/** Looks at a batch that is done before another thread than the one that led last leads: two microseconds, or so. */
constexpr int32_t leadersTurn = 64;

}  // namespace

Engine::Engine(int32_t threads, const std::vector<int32_t>& cpus) : shares_(threads), workers_(static_cast<size_t>(threads)) {
  const std::vector<int32_t> places = cpus.empty() ? oneEach(threads) : cpus;
  for (int32_t i = 0; i < threads; i++) {
    const int32_t cpu = places.empty() ? -1 : places[static_cast<size_t>(i) % places.size()];
    workers_[static_cast<size_t>(i)].thread = std::thread([this, i, cpu] { live(i, cpu); });
  }
}

Engine::~Engine() {
  stopped_.store(true, std::memory_order_seq_cst);
  bell_.ring();
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
    if (sleepers_.load(std::memory_order_seq_cst) < threads() && !patience_.disturbed()) return;
  }
  // All: a neighbour may have the processor of the one that would be picked, while another's lies idle.
  bell_.ring();
}

// What every thread does.

void Engine::live(int32_t thread, int32_t cpu) {
  if (cpu >= 0) pinThread(cpu);
  uint32_t seen = 0;
  while (!stopped()) {
    Turn turn;
    turn.thread = thread;
    turn.batch = shown_.batch.load(std::memory_order_acquire);
    if (turn.batch != seen) {
      seen = turn.batch;
      if (enter(turn)) work(turn);
    } else if (wanted_.exchange(false, std::memory_order_seq_cst)) {
      lead(thread);
    } else {
      await(thread, seen);
    }
  }
}

/** Reads what the batch is; false when it has ended meanwhile. */
bool Engine::enter(Turn& turn) {
  Worker& self = workers_[static_cast<size_t>(turn.thread)];
  Job* job = shown_.job.load(std::memory_order_relaxed);
  // Shown before it is looked whether the batch has ended: whoever lets the job go after that sees that somebody is inside.
  if (self.inside.load(std::memory_order_relaxed) != job) {
    self.inside.store(job, std::memory_order_seq_cst);
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
  turn.target = shown_.target.load(std::memory_order_relaxed);
  turn.work = {shown_.pieces.load(std::memory_order_relaxed), shown_.run.load(std::memory_order_relaxed),
               shown_.commit.load(std::memory_order_relaxed), shown_.context.load(std::memory_order_relaxed),
               shown_.item.load(std::memory_order_relaxed)};
  turn.scratch = self.scratch.load(std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_acquire);
  return shown_.ended.load(std::memory_order_acquire) != turn.batch && shown_.batch.load(std::memory_order_acquire) == turn.batch;
}

void Engine::count(int32_t thread) {
  auto& done = workers_[static_cast<size_t>(thread)].done;
  done.store(done.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

void Engine::work(const Turn& turn) {
  const auto begun = Clock::now();
  patience_.look(turn.thread, begun - workers_[static_cast<size_t>(turn.thread)].begun);
  workers_[static_cast<size_t>(turn.thread)].begun = begun;
  const uint64_t before = workers_[static_cast<size_t>(turn.thread)].done.load(std::memory_order_relaxed);
  Share share = shares_.take(turn.thread, turn.batch, turn.work.pieces);
  do {
    while (share.batch == turn.batch && !share.empty() && !stopped()) {
      if (turn.work.commit) {
        runRepeatable(turn, share);
      } else {
        runOnce(turn, share);
      }
    }
    if (!shares_.steal(turn.thread, turn.batch, turn.work.pieces, turn.work.commit != nullptr)) break;
    // There is more than this thread's own part to do: somebody sleeps, or is slow.
    if (sleepers_.load(std::memory_order_relaxed) > 0) bell_.ring();
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

bool Engine::complete(const Turn& turn) const {
  uint64_t done = 0;
  for (const Worker& worker : workers_) done += worker.done.load(std::memory_order_acquire);
  return done == turn.target;
}

/** Whether all pieces are done; exactly one of the threads that ask then leads. */
bool Engine::endBatch(const Turn& turn) {
  if (!complete(turn)) return false;
  uint32_t before = (turn.batch - 1) & batchMask;
  if (shown_.ended.compare_exchange_strong(before, turn.batch, std::memory_order_seq_cst)) lead(turn.thread);
  return true;
}

/**
 * Who led last does again. Beside a busy neighbour any thread does, but for the one whose processor the neighbour has had last: it would
 * be put off again with all others waiting for it.
 */
bool Engine::leadsFirst(int32_t thread) const {
  return leader_.load(std::memory_order_relaxed) == thread || (patience_.disturbed() && patience_.lastPutOff() != thread);
}

void Engine::finish(const Turn& turn, Clock::time_point begun, int32_t pieces) {
  const auto gone = [&] { return shown_.batch.load(std::memory_order_acquire) != turn.batch || stopped(); };
  int32_t looks = leadsFirst(turn.thread) ? leadersTurn : 0;
  const auto ready = [&] { return gone() || (complete(turn) && looks++ >= leadersTurn && endBatch(turn)); };
  if (ready()) return;
  if (turn.work.commit) {
    const auto own = pieces > 0 ? (Clock::now() - begun) / pieces * tooLong : leastTooLong * tooLong;
    const auto limit = own > leastTooLong ? own : leastTooLong;
    if (patience_.wait([&] { return limit; }, ready)) return;
    repeatOthers(turn);
  }
  if (patience_.wait([&] { return patienceOf(turn.thread); }, ready)) return;
  // What two threads have done last they may both have looked at too early.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!gone()) endBatch(turn);
}

/** Until there is a batch after `seen`, or a job that nobody leads. */
void Engine::await(int32_t thread, uint32_t seen) {
  Worker& self = workers_[static_cast<size_t>(thread)];
  const auto ready = [&] {
    return shown_.batch.load(std::memory_order_acquire) != seen || wanted_.load(std::memory_order_seq_cst) || stopped();
  };
  if (patience_.wait([&] { return patienceOf(thread); }, ready)) return;
  // A sleeper reads nothing, and keeps no job.
  self.inside.store(nullptr, std::memory_order_seq_cst);
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  for (uint32_t rings = bell_.rings(); !ready(); rings = bell_.rings()) bell_.sleep(rings);
  sleepers_.fetch_sub(1, std::memory_order_seq_cst);
}

microseconds Engine::patienceOf(int32_t thread) const {
  const bool busy = patience_.disturbed();
  if (shown_.job.load(std::memory_order_relaxed)) return busy ? busyTurn : calmTurn;
  // Between jobs the caller needs a processor; one thread is enough to begin the next.
  if (leader_.load(std::memory_order_relaxed) != thread) return calmOther;
  return busy ? busyLeader : calmLeader;
}

}  // namespace loquent
