#include "pool.h"

#include "affinity.h"

#include <stdlib.h>

#include <new>

namespace loquent {

namespace {

constexpr uint64_t nextMask = 0xffffffff;

// Both as short as an idle machine allows: beside a busy neighbour the one waited for may need the processor that waits.
/** How long the conductor waits awake for the last pieces: some take this long, and a thread that is off its processor longer. */
constexpr auto conductorPatience = std::chrono::microseconds(10);
/** How long a thread waits awake for the next job: over the small ops that the conductor does alone. */
constexpr auto workerPatience = std::chrono::microseconds(20);

template <typename Ready>
bool spinFor(std::chrono::microseconds patience, Ready ready) {
  constexpr int between = 16;
  const auto begin = std::chrono::steady_clock::now();
  do {
    for (int i = 0; i < between; i++) {
      if (ready()) return true;
      relax();
    }
  } while (std::chrono::steady_clock::now() - begin < patience);
  return false;
}

uint32_t countOf(uint64_t ticket) { return static_cast<uint32_t>(ticket >> 32); }
uint32_t nextOf(uint64_t ticket) { return static_cast<uint32_t>(ticket & nextMask); }

}  // namespace

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

Pool::Pool(int32_t threads, std::vector<int32_t> cpus)
    : threads_(threads), cpus_(std::move(cpus)), scratch_(static_cast<size_t>(threads), nullptr) {
  for (int32_t i = 1; i < threads; i++) workers_.emplace_back([this, i] { work(i); });
}

Pool::~Pool() {
  stop();
  for (auto& worker : workers_) worker.join();
  for (auto* scratch : scratch_) free(scratch);
}

void Pool::reserveScratch(size_t bytes) {
  bytes = (bytes + 63) / 64 * 64;
  if (bytes <= scratchBytes_) return;
  for (auto& scratch : scratch_) {
    auto* fresh = static_cast<uint8_t*>(aligned_alloc(64, bytes));
    if (!fresh) throw std::bad_alloc();
    free(scratch);
    scratch = fresh;
  }
  scratchBytes_ = bytes;
}

bool Pool::hasWork() const {
  const uint64_t ticket = ticket_.load(std::memory_order_seq_cst);
  return nextOf(ticket) < countOf(ticket);
}

bool Pool::takeOne(int32_t worker) {
  // Looking first keeps threads with nothing to do from running the counter up.
  if (!hasWork()) return false;
  const uint64_t ticket = ticket_.fetch_add(1, std::memory_order_acq_rel);
  if (nextOf(ticket) >= countOf(ticket)) return false;
  // The job cannot end, and so its description cannot change, before this piece is counted as done.
  if (!stopped()) {
    const Task task = task_.load(std::memory_order_relaxed);
    task(context_.load(std::memory_order_relaxed), static_cast<int32_t>(nextOf(ticket)), scratch_[static_cast<size_t>(worker)]);
  }
  const int32_t done = done_.fetch_add(1, std::memory_order_seq_cst) + 1;
  if (done == static_cast<int32_t>(countOf(ticket)) && conductorWaits_.load(std::memory_order_seq_cst)) {
    std::lock_guard<std::mutex> lock(mutex_);
    finished_.notify_one();
  }
  return true;
}

void Pool::run(int32_t tasks, Task task, void* context) {
  if (tasks <= 0) return;
  if (tasks == 1 || threads_ == 1) {
    for (int32_t i = 0; i < tasks && !stopped(); i++) task(context, i, scratch_[0]);
    return;
  }
  task_.store(task, std::memory_order_relaxed);
  context_.store(context, std::memory_order_relaxed);
  done_.store(0, std::memory_order_relaxed);
  ticket_.store(static_cast<uint64_t>(tasks) << 32, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) > 0) {
    { std::lock_guard<std::mutex> lock(mutex_); }
    wake_.notify_all();
  }
  while (takeOne(0)) {
  }
  awaitDone(tasks);
}

void Pool::awaitDone(int32_t tasks) {
  const auto done = [&] { return done_.load(std::memory_order_seq_cst) == tasks; };
  if (spinFor(conductorPatience, done)) return;
  std::unique_lock<std::mutex> lock(mutex_);
  conductorWaits_.store(true, std::memory_order_seq_cst);
  finished_.wait(lock, done);
  conductorWaits_.store(false, std::memory_order_seq_cst);
}

void Pool::work(int32_t worker) {
  if (!cpus_.empty()) pinThread(cpus_[static_cast<size_t>(worker) % cpus_.size()]);
  const auto ready = [this] { return hasWork() || stopped(); };
  while (!stopped()) {
    if (takeOne(worker)) continue;
    if (spinFor(workerPatience, ready)) continue;
    std::unique_lock<std::mutex> lock(mutex_);
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    wake_.wait(lock, ready);
    sleepers_.fetch_sub(1, std::memory_order_seq_cst);
  }
}

void Pool::stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopped_.store(true, std::memory_order_seq_cst);
  }
  wake_.notify_all();
}

}  // namespace loquent
