// Uploading a weight: stored rows become the rows or panels that kernels read.
#pragma once
#include <stdint.h>

#include <memory>
#include <vector>

#include "../gen/ops.h"
#include "job.h"
#include "memory.h"

namespace loquent {

/** Rows of one stored tensor, one after another. */
struct Part {
  const uint8_t* data;
  int64_t rows;
  Format format;
};

/** Parts are stacked along rows; together they are `rows` x `columns`. */
struct Packing {
  uint8_t* to;
  Format format;
  Layout layout;
  int64_t rows, columns;
  std::vector<Part> parts;
};

/** Bytes of a packed weight. */
int64_t packedBytes(Format format, Layout layout, int64_t rows, int64_t columns);
/** Throws std::runtime_error when the parts and the place do not fit together. */
void checkPacking(const Packing& packing, int64_t bytesAvailable, const std::vector<int64_t>& partBytes);
/** Packs on `threads` threads into `memory`, which is kept; needs no memory beyond their scratch. */
std::unique_ptr<Job> pack(Packing packing, std::shared_ptr<Memory> memory, int32_t threads);

}  // namespace loquent
