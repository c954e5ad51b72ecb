// The addon: eight functions. Nothing here computes; nothing below here knows Node.
#include <algorithm>

#include "../core/affinity.h"
#include "../core/pack.h"
#include "../core/plan.h"
#include "device.h"

namespace loquent::js {

template <>
const napi_type_tag Handle<Device>::tag = {0x6c6f7175656e7401, 0x8f1c7a9b2d3e4f50};
template <>
const napi_type_tag Handle<Arena>::tag = {0x6c6f7175656e7402, 0x1a2b3c4d5e6f7081};
template <>
const napi_type_tag Handle<Plan>::tag = {0x6c6f7175656e7403, 0x92a3b4c5d6e7f809};

namespace {

constexpr int64_t mostThreads = 256;

napi_value bufferOf(napi_env env, std::shared_ptr<Memory> memory) {
  napi_value buffer;
  if (memory->bytes() == 0) {
    void* nothing;
    check(env, napi_create_arraybuffer(env, 0, &nothing, &buffer));
    return buffer;
  }
  auto* box = new std::shared_ptr<Memory>(memory);
  const auto drop = [](napi_env, void*, void* hint) { delete static_cast<std::shared_ptr<Memory>*>(hint); };
  if (napi_create_external_arraybuffer(env, memory->data(), memory->bytes(), drop, box, &buffer) != napi_ok) {
    delete box;
    throw std::runtime_error("this runtime does not allow external buffers");
  }
  return buffer;
}

/** Nanoseconds that each instruction of a plan has taken so far. */
napi_value spentBy(napi_env env, const Plan& plan) {
  napi_value list;
  check(env, napi_create_array_with_length(env, plan.instructions(), &list));
  for (size_t i = 0; i < plan.instructions(); i++) {
    napi_value spent;
    check(env, napi_create_double(env, static_cast<double>(plan.nanoseconds(i)), &spent));
    check(env, napi_set_element(env, list, static_cast<uint32_t>(i), spent));
  }
  return list;
}

/**
 * info(plan?): { hash, isas, nanoseconds? }: the op table this addon was built from, the instruction sets usable here, best
 * last, and where the steps of a plan have spent their time.
 */
napi_value info(napi_env env, napi_callback_info i) {
  napi_value result, isas;
  check(env, napi_create_object(env, &result));
  check(env, napi_create_array(env, &isas));
  uint32_t count = 0;
  for (const KernelChoice* c = kernelChoices; c->set; c++) {
    if (c->supported()) check(env, napi_set_element(env, isas, count++, text(env, c->set->name)));
  }
  set(env, result, "hash", number(env, tableHash));
  set(env, result, "isas", isas);
  napi_value plan = nullptr;
  size_t given = 1;
  check(env, napi_get_cb_info(env, i, &given, &plan, nullptr, nullptr));
  if (given > 0) set(env, result, "nanoseconds", spentBy(env, *Handle<Plan>::read(env, plan)));
  return result;
}

/** A list of processors that this process may use; nothing is none. */
/** An array of integers; undefined is none. */
std::vector<int32_t> toIntegers(napi_env env, napi_value v) {
  napi_valuetype type;
  check(env, napi_typeof(env, v, &type));
  std::vector<int32_t> all;
  if (type == napi_undefined) return all;
  uint32_t count = 0;
  check(env, napi_get_array_length(env, v, &count));
  for (uint32_t i = 0; i < count; i++) {
    napi_value one;
    check(env, napi_get_element(env, v, i, &one));
    all.push_back(static_cast<int32_t>(std::min<int64_t>(toInteger(env, one), INT32_MAX)));
  }
  return all;
}

std::vector<int32_t> toCpus(napi_env env, napi_value v) {
  const auto cpus = toIntegers(env, v);
  for (const int32_t cpu : cpus) {
    if (!canPin(cpu)) throw std::runtime_error("no thread can be kept on processor " + std::to_string(cpu) + " here");
  }
  return cpus;
}

/** open(threads, isa, cpus?): device; isa '' takes the best; cpus are processors to keep the threads on. */
napi_value open(napi_env env, napi_callback_info i) {
  const auto a = arguments<3>(env, i);
  const int64_t threads = toInteger(env, a[0]);
  if (threads < 1 || threads > mostThreads) throw std::runtime_error("threads must be from 1 to " + std::to_string(mostThreads));
  const std::string isa = toText(env, a[1]);
  const KernelSet* kernels = chooseKernels(isa);
  if (!kernels) throw std::runtime_error("no instruction set " + isa + " here");
  return Handle<Device>::create(env, Device::open(env, static_cast<int32_t>(threads), *kernels, toCpus(env, a[2])));
}

/** close(device) */
napi_value close(napi_env env, napi_callback_info i) {
  Handle<Device>::read(env, arguments<1>(env, i)[0])->close();
  return undefined(env);
}

/** map(path): ArrayBuffer of a whole file. */
napi_value map(napi_env env, napi_callback_info i) {
  return bufferOf(env, Memory::mapFile(toText(env, arguments<1>(env, i)[0])));
}

/** reserve(device, bytes, nodes?): { handle, buffer }, zeroed; detached and freed when the device is closed; nodes are NUMA nodes. */
napi_value reserve(napi_env env, napi_callback_info i) {
  const auto a = arguments<3>(env, i);
  const auto device = Handle<Device>::read(env, a[0]);
  const auto arena = std::make_shared<Arena>(Arena{Memory::reserve(static_cast<size_t>(toInteger(env, a[1])), toIntegers(env, a[2]))});
  const napi_value buffer = bufferOf(env, arena->memory);
  device->adopt(arena, buffer);
  napi_value result;
  check(env, napi_create_object(env, &result));
  set(env, result, "buffer", buffer);
  set(env, result, "handle", Handle<Arena>::create(env, arena));
  return result;
}

std::shared_ptr<Memory> toMemory(napi_env env, napi_value v) {
  auto memory = Handle<Arena>::read(env, v)->memory;
  if (!memory) throw std::runtime_error("the backend was closed");
  return memory;
}

Format toFormat(napi_env env, napi_value v) {
  const int64_t id = toInteger(env, v);
  if (id >= formatCount) throw std::runtime_error("unknown format");
  return static_cast<Format>(id);
}

/** upload(device, arena, { offset, format, layout, rows, columns, parts: [{ bytes: Uint8Array, rows, format }] }): promise */
napi_value upload(napi_env env, napi_callback_info i) {
  const auto a = arguments<3>(env, i);
  const auto device = Handle<Device>::read(env, a[0]);
  const auto memory = toMemory(env, a[1]);
  const int64_t offset = toInteger(env, get(env, a[2], "offset"));
  if (offset > static_cast<int64_t>(memory->bytes())) throw std::runtime_error("upload: the place is outside the arena");
  Packing packing = {memory->data() + offset, toFormat(env, get(env, a[2], "format")),
                     static_cast<Layout>(toInteger(env, get(env, a[2], "layout"))), toInteger(env, get(env, a[2], "rows")),
                     toInteger(env, get(env, a[2], "columns")), {}};
  const napi_value parts = get(env, a[2], "parts");
  uint32_t count = 0;
  check(env, napi_get_array_length(env, parts, &count));
  std::vector<int64_t> bytes;
  for (uint32_t p = 0; p < count; p++) {
    napi_value part;
    check(env, napi_get_element(env, parts, p, &part));
    const Bytes data = toTyped(env, get(env, part, "bytes"), napi_uint8_array, 1);
    packing.parts.push_back({data.data, toInteger(env, get(env, part, "rows")), toFormat(env, get(env, part, "format"))});
    bytes.push_back(static_cast<int64_t>(data.length));
  }
  checkPacking(packing, static_cast<int64_t>(memory->bytes()) - offset, bytes);
  return device->submit(pack(std::move(packing), memory, device->threads()), a[2]);
}

/** compile(device, words: Int32Array, weights, activations, cache): plan */
napi_value compile(napi_env env, napi_callback_info i) {
  const auto a = arguments<5>(env, i);
  const auto device = Handle<Device>::read(env, a[0]);
  const Bytes words = toTyped(env, a[1], napi_int32_array, 4);
  const int32_t* first = reinterpret_cast<const int32_t*>(words.data);
  const Arenas arenas = {toMemory(env, a[2]), toMemory(env, a[3]), toMemory(env, a[4])};
  std::vector<int32_t> copy(first, first + words.length / 4);
  const auto plan = std::make_shared<Plan>(std::move(copy), arenas, device->kernels());
  device->adopt(plan);
  return Handle<Plan>::create(env, plan);
}

/** run(device, plan, frame: ArrayBuffer): promise of nanoseconds */
napi_value run(napi_env env, napi_callback_info i) {
  const auto a = arguments<3>(env, i);
  const auto device = Handle<Device>::read(env, a[0]);
  const auto plan = Handle<Plan>::read(env, a[1]);
  const Bytes frame = toBuffer(env, a[2]);
  if (frame.length < plan->frameBytes()) throw std::runtime_error("the frame is smaller than the plan's");
  return device->submit(Plan::step(plan, frame.data, device->threads()), a[2]);
}

void define(napi_env env, napi_value exports, const char* name, napi_callback callback) {
  napi_value function;
  check(env, napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function));
  set(env, exports, name, function);
}

}  // namespace

napi_value initialize(napi_env env, napi_value exports) {
  try {
    define(env, exports, "info", guarded<info>);
    define(env, exports, "open", guarded<open>);
    define(env, exports, "close", guarded<close>);
    define(env, exports, "map", guarded<map>);
    define(env, exports, "reserve", guarded<reserve>);
    define(env, exports, "upload", guarded<upload>);
    define(env, exports, "compile", guarded<compile>);
    define(env, exports, "run", guarded<run>);
  } catch (...) {
    napi_throw_error(env, nullptr, "loquent: the addon could not be set up");
  }
  return exports;
}

}  // namespace loquent::js

NAPI_MODULE_INIT() { return loquent::js::initialize(env, exports); }
