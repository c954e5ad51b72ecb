// Checks of one record: operands inside their arenas, shapes that fit together.
#pragma once
#include <stdint.h>

#include <vector>

#include "kernel.h"

namespace loquent {

struct Bounds {
  const Limits& limits;
  /** Bytes of each space. */
  int64_t bytes[4];
  const std::vector<Cache>& caches;
};

const OpRule* ruleOf(int32_t op);

/** Throws std::runtime_error when a kernel given this record could leave its memory. */
void checkRecord(const OpRule& rule, const int32_t* record, const Bounds& bounds);

}  // namespace loquent
