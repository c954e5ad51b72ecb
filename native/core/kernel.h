// The seam between the interpreter and the kernels: plain data and function pointers, nothing inline.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <string>

#include "../gen/ops.h"

namespace loquent {

/** Output columns of a weight panel, and positions of a KV block: both are tiles of the kernels. */
constexpr int32_t panelColumns = 32;
constexpr int32_t keyTile = 16;

/**
 * KV cache of a layer. A block holds, a head: keys, transposed, then values. A vector of the kernels is 16 words: of 16 keys,
 * or of 16 dimensions of the values, whose rows are as wide as headDim rounded up to 16.
 * f32: a word is a float. Keys [headDim][16], values [16][width].
 * bf16: words of two halves. Keys [headDim / 2][16], a word two dimensions of a key; values [8][width], a word two keys.
 * int8: as bf16 in bytes, then 16 float scales of the keys and 16 of the values.
 */
struct Cache {
  uint8_t* base;
  int64_t blockBytes;
  int32_t kvHeads, headDim;
  KvFormat format;
};

/** Where the parts of one head of a block lie, in bytes from its start. Internal linkage: kernels use it too. */
struct HeadLayout {
  int64_t values, keyScales, valueScales, bytes;
};
static constexpr HeadLayout headLayout(KvFormat format, int64_t headDim) {
  const int64_t width = (headDim + 15) / 16 * 16, pairs = (headDim + 1) / 2;
  if (format == KvFormat::f32) {
    const int64_t values = headDim * keyTile * 4, bytes = values + width * keyTile * 4;
    return {values, bytes, bytes, bytes};
  }
  const int64_t word = format == KvFormat::bf16 ? 4 : 2, scales = format == KvFormat::int8 ? keyTile * 4 : 0;
  const int64_t values = pairs * keyTile * word, keyScales = values + width * keyTile / 2 * word;
  return {values, keyScales, keyScales + scales, keyScales + 2 * scales};
}

/** What every kernel sees of the step that runs. */
struct Step {
  /** Indexed by Space. */
  uint8_t* base[4];
  /** Line of each frame field. */
  const int32_t* fields;
  const Limits* limits;
  const Cache* caches;
  /**
   * Memory that all pieces of an op share, as much as the op asked for. Only one kernel (attention) may ask: what one of its ops
   * leaves there the next one of the same step finds.
   */
  uint8_t* shared;
  /** Rows in use, indexed by Domain; `fixed` has none. */
  int32_t rows[3];
  int32_t sequences;
  int32_t threads;
  /** Tells this step from all others of its plan; from 1 on. */
  int64_t number;
};

/**
 * One op: `tasks` says in how many pieces the step's work falls, `run` does one. Pieces may run in any order on any
 * thread, and nothing in the result may depend on how many there are. `scratch` bytes are each thread's own.
 */
struct Kernel {
  /** Called once before the pieces run, on one thread, and so may prepare the shared memory. */
  int32_t (*tasks)(const Step&, const void* record);
  void (*run)(const Step&, const void* record, int32_t task, uint8_t* scratch);
  size_t (*scratch)(const Limits&, const void* record);
  /** Bytes of shared memory; null for none. */
  size_t (*shared)(const Limits&, const void* record) = nullptr;
  /**
   * Null, or `run` only fills the scratch and this writes the outputs from it. Such a piece may be run by two threads, the second
   * of them even after the step has ended (see Batch in job.h): its `run` reads rows, threads and arenas of the step, nothing of
   * the frame, and is safe with whatever it finds there.
   */
  void (*commit)(const Step&, const void* record, int32_t task, const uint8_t* scratch) = nullptr;
};

/** The kernels of one instruction set. */
struct KernelSet {
  const char* name;
  /** Indexed by op. Pointers, so that the table needs no code run at load, which an older processor could not. */
  const Kernel* kernels[opCount];
};

/** An instruction set that this build holds, and whether the processor has it. */
struct KernelChoice {
  const KernelSet* set;
  bool (*supported)();
};

/** Slowest first; ends with a null. */
extern const KernelChoice kernelChoices[];

/** The best set the processor has, or the one named; null when there is none of that name here. */
const KernelSet* chooseKernels(const std::string& name);

}  // namespace loquent
