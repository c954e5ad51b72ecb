#include "device.h"

namespace loquent::js {

/** A promise under way. Made and ended on the JS thread; between, only the outcome is written. */
struct Device::Pledge {
  // Keeps the device until the promise is settled, even if JS has let the handle go.
  std::shared_ptr<Device> device;
  napi_deferred deferred;
  napi_ref kept;
  Outcome outcome;
};

std::shared_ptr<Device> Device::open(napi_env env, int32_t threads, const KernelSet& kernels, const std::vector<int32_t>& cpus) {
  std::shared_ptr<Device> device(new Device(env, kernels, threads));
  check(env, napi_create_threadsafe_function(env, nullptr, nullptr, text(env, "loquent"), 0, 1, nullptr, nullptr, nullptr,
                                             settleFromQueue, &device->queue_));
  // An idle backend does not keep a process alive; a run in flight does.
  check(env, napi_unref_threadsafe_function(env, device->queue_));
  device->engine_ = std::make_unique<Engine>(threads, cpus);
  // Registered after the queue's own hook, and so called before it: the threads are gone before the queue is.
  check(env, napi_add_env_cleanup_hook(env, onEnvironmentEnd, device.get()));
  return device;
}

Device::~Device() {
  // Nobody closed it: its buffers may be in use elsewhere, and go when they are collected.
  const bool environmentLives = queue_ != nullptr;
  endThreads();
  for (const Adopted& adopted : arenas_) {
    if (environmentLives) napi_delete_reference(env_, adopted.buffer);
  }
}

void Device::onEnvironmentEnd(void* data) {
  auto* device = static_cast<Device*>(data);
  device->engine_.reset();
  // The environment ends the queue itself, maybe before this object goes.
  device->queue_ = nullptr;
}

void Device::endThreads() {
  if (queue_ == nullptr) return;
  napi_remove_env_cleanup_hook(env_, onEnvironmentEnd, this);
  engine_.reset();
  napi_release_threadsafe_function(queue_, napi_tsfn_release);
  queue_ = nullptr;
}

void Device::adopt(const std::shared_ptr<Arena>& arena, napi_value buffer) {
  napi_ref reference;
  check(env_, napi_create_reference(env_, buffer, 0, &reference));
  arenas_.push_back({arena, reference});
}

void Device::close() {
  endThreads();
  for (const auto& plan : plans_) {
    if (const auto held = plan.lock()) held->release();
  }
  plans_.clear();
  for (const Adopted& adopted : arenas_) {
    napi_value buffer = nullptr;
    if (napi_get_reference_value(env_, adopted.buffer, &buffer) == napi_ok && buffer) napi_detach_arraybuffer(env_, buffer);
    napi_delete_reference(env_, adopted.buffer);
    adopted.arena->memory = nullptr;
  }
  arenas_.clear();
}

napi_value Device::submit(std::unique_ptr<Job> job, napi_value kept) {
  if (!engine_) throw std::runtime_error("the backend was closed");
  napi_value promise;
  auto pledge = std::make_unique<Pledge>();
  check(env_, napi_create_reference(env_, kept, 1, &pledge->kept));
  check(env_, napi_create_promise(env_, &pledge->deferred, &promise));
  pledge->device = shared_from_this();
  if (inFlight_++ == 0) napi_ref_threadsafe_function(env_, queue_);
  Pledge* raw = pledge.release();
  job->ended = [raw, queue = queue_](const Outcome& outcome) {
    raw->outcome = outcome;
    // Fails only when the environment is ending; nobody is left to be told then.
    napi_call_threadsafe_function(queue, raw, napi_tsfn_nonblocking);
  };
  engine_->submit(std::move(job));
  return promise;
}

void Device::settleFromQueue(napi_env env, napi_value, void*, void* data) {
  std::unique_ptr<Pledge> pledge(static_cast<Pledge*>(data));
  if (env == nullptr) {
    // The environment is being torn down and the queue is drained: no promise can be settled.
    return;
  }
  pledge->device->settle(*pledge);
}

void Device::settle(Pledge& pledge) {
  if (--inFlight_ == 0 && queue_) napi_unref_threadsafe_function(env_, queue_);
  napi_delete_reference(env_, pledge.kept);
  napi_value value;
  if (pledge.outcome.error.empty()) {
    if (napi_create_double(env_, static_cast<double>(pledge.outcome.nanoseconds), &value) == napi_ok) {
      napi_resolve_deferred(env_, pledge.deferred, value);
    }
    return;
  }
  napi_value message;
  napi_create_string_utf8(env_, pledge.outcome.error.data(), pledge.outcome.error.size(), &message);
  if (napi_create_error(env_, nullptr, message, &value) == napi_ok) napi_reject_deferred(env_, pledge.deferred, value);
}

}  // namespace loquent::js
