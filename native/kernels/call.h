// How a kernel finds its operands. Internal linkage throughout, as in simd.h.
#pragma once
#include "../core/kernel.h"
#include "functions.h"

namespace loquent::LOQUENT_ISA {

LOQUENT_INLINE uint8_t* bytesOf(const Step& s, const Operand& o) {
  return s.base[o.space] + static_cast<int64_t>(o.offset) * lineBytes;
}
LOQUENT_INLINE float* rowOf(const Step& s, const Operand& o, int64_t row) {
  return reinterpret_cast<float*>(bytesOf(s, o)) + row * o.stride + o.column;
}
LOQUENT_INLINE int32_t rowsOf(const Step& s, const Operand& o) { return s.rows[o.domain]; }
LOQUENT_INLINE Format formatOf(const Operand& o) { return static_cast<Format>(o.storage & 255); }
LOQUENT_INLINE Layout layoutOf(const Operand& o) { return static_cast<Layout>(o.storage >> 8); }

template <typename T>
LOQUENT_INLINE T* fieldOf(const Step& s, Field f) {
  return reinterpret_cast<T*>(s.base[static_cast<int>(Space::frame)] + static_cast<int64_t>(s.fields[static_cast<int>(f)]) * lineBytes);
}
LOQUENT_INLINE int32_t* ints(const Step& s, Field f) { return fieldOf<int32_t>(s, f); }
LOQUENT_INLINE float* floats(const Step& s, Field f) { return fieldOf<float>(s, f); }

template <typename R>
LOQUENT_INLINE const R& as(const void* record) {
  return *static_cast<const R*>(record);
}

LOQUENT_INLINE int32_t ceilDiv(int32_t a, int32_t b) { return (a + b - 1) / b; }
LOQUENT_INLINE int32_t least(int32_t a, int32_t b) { return a < b ? a : b; }

/** Rows of a piece: all pieces are about equal, and worth the trouble of handing them out. */
LOQUENT_INLINE int32_t rowsPerTask(const Step& s, const Operand& o) {
  constexpr int64_t leastElements = 4096;
  constexpr int32_t piecesPerThread = 4;
  const int32_t rows = rowsOf(s, o);
  const int64_t worth = static_cast<int64_t>(rows) * o.width / leastElements, most = static_cast<int64_t>(s.threads) * piecesPerThread;
  const int64_t pieces = worth < 1 ? 1 : worth < most ? worth : most;
  return rows > 0 ? ceilDiv(rows, static_cast<int32_t>(pieces)) : 1;
}
LOQUENT_INLINE int32_t rowTasks(const Step& s, const Operand& o) { return ceilDiv(rowsOf(s, o), rowsPerTask(s, o)); }

struct Rows {
  int32_t begin, end;
};
LOQUENT_INLINE Rows taskRows(const Step& s, const Operand& o, int32_t task) {
  const int32_t n = rowsPerTask(s, o);
  return {task * n, least((task + 1) * n, rowsOf(s, o))};
}

LOQUENT_INLINE size_t noScratch(const Limits&, const void*) { return 0; }

/** A row as products read it, bf16 or q8_0; for ops that round what they make (encode.cpp). */
void encodeRow(Format format, const float* x, int32_t width, uint8_t* out);

// One of each per kernel source; table.cpp gathers them.
extern const Kernel embedding, linear, rmsNorm, addRmsNorm, ropeTable, rope, writeKv, attention, gatedActivation, add,
    selectRows, penalize, maskTokens, warp, choose, topTokens, encode, gatedLinear;

}  // namespace loquent::LOQUENT_ISA
