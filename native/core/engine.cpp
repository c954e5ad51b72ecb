#include "engine.h"

#include "affinity.h"

#include <chrono>
#include <exception>
#include <stdexcept>

namespace loquent {

const KernelSet* chooseKernels(const std::string& name) {
  const KernelSet* best = nullptr;
  for (const KernelChoice* c = kernelChoices; c->set; c++) {
    if (!c->supported()) continue;
    if (name.empty() || name == c->set->name) best = c->set;
  }
  return best;
}

Engine::Engine(int32_t threads, const KernelSet& kernels, const std::vector<int32_t>& cpus)
    : kernels_(kernels), pool_(threads, cpus), conductor_([this, cpu = cpus.empty() ? -1 : cpus[0]] { conduct(cpu); }) {}

Engine::~Engine() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
  }
  pool_.stop();
  arrived_.notify_all();
  conductor_.join();
}

void Engine::submit(std::function<void(Pool&)> work, std::function<void(Outcome)> done) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    jobs_.push_back({std::move(work), std::move(done)});
    waiting_++;
  }
  arrived_.notify_one();
}

bool Engine::next(Job& job) {
  const auto ready = [this] { return waiting_ > 0 || closing_; };
  // A decoding engine submits the next step within microseconds: worth waiting for awake.
  spinUntil(ready);
  std::unique_lock<std::mutex> lock(mutex_);
  arrived_.wait(lock, ready);
  if (jobs_.empty()) return false;
  job = std::move(jobs_.front());
  jobs_.pop_front();
  waiting_--;
  return true;
}

Outcome Engine::perform(const Job& job) {
  const auto begin = std::chrono::steady_clock::now();
  try {
    if (closing_) throw std::runtime_error("the backend was closed");
    job.work(pool_);
    if (pool_.stopped()) throw std::runtime_error("the backend was closed");
  } catch (const std::exception& e) {
    return {e.what()[0] ? e.what() : "unknown failure", 0};
  } catch (...) {
    return {"unknown failure", 0};
  }
  const auto elapsed = std::chrono::steady_clock::now() - begin;
  return {"", std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count()};
}

void Engine::conduct(int32_t cpu) {
  if (cpu >= 0) pinThread(cpu);
  Job job;
  while (next(job)) {
    job.done(perform(job));
    // What the job holds is let go now, not when the next one comes.
    job = {};
  }
}

}  // namespace loquent
