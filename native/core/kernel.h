// The seam between the interpreter and the kernels: plain data and function pointers, nothing inline.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "../gen/ops.h"

namespace loquent {

/** Output columns of a weight panel, and positions of a KV block: both are tiles of the kernels. */
constexpr int32_t panelColumns = 32;
constexpr int32_t keyTile = 16;

/** KV cache of a layer. A block holds, a head: keys [headDim][16], then values [16][headDim rounded up to 16]. */
struct Cache {
  uint8_t* base;
  int64_t blockBytes;
  int32_t kvHeads, headDim;
};

/** What every kernel sees of the step that runs. */
struct Step {
  /** Indexed by Space. */
  uint8_t* base[4];
  /** Line of each frame field. */
  const int32_t* fields;
  const Limits* limits;
  const Cache* caches;
  /** Rows in use, indexed by Domain; `fixed` has none. */
  int32_t rows[3];
  int32_t sequences;
  int32_t threads;
};

/**
 * One op: `tasks` says in how many pieces the step's work falls, `run` does one. Pieces may run in any order on any
 * thread, and nothing in the result may depend on how many there are. `scratch` bytes are each thread's own.
 */
struct Kernel {
  int32_t (*tasks)(const Step&, const void* record);
  void (*run)(const Step&, const void* record, int32_t task, uint8_t* scratch);
  size_t (*scratch)(const Limits&, const void* record);
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

}  // namespace loquent
