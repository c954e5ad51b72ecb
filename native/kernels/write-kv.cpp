// writeKv: keys and values of a step into the paged cache, rounded to what it keeps. Twin: backends/reference.
#include <math.h>

#include "keys.h"

namespace loquent::LOQUENT_ISA {
namespace {

/** The nearest brain float, ties to even. */
LOQUENT_INLINE uint16_t brainOf(float x) {
  uint32_t u;
  memcpy(&u, &x, 4);
  if ((u & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>(u >> 16 | 0x40);
  return static_cast<uint16_t>((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/** Scale of a row: its greatest magnitude over 127, not a number where that is not finite. */
float scaleOf(const float* x, int32_t count) {
  float greatest = 0;
  bool finite = true;
  for (int32_t i = 0; i < count; i++) {
    const float m = fabsf(x[i]);
    finite = finite && m < INFINITY;
    greatest = m > greatest ? m : greatest;
  }
  return finite ? greatest / 127.0f : NAN;
}

/** Multiples of the scale: nearest, ties to even, by adding 1.5 * 2^23. */
void multiplesOf(const float* x, int32_t count, float scale, int8_t* out, int32_t stride) {
  // A scale below the normal floats has no inverse.
  const float inverse = scale >= 0x1p-126f ? 1.0f / scale : 0.0f, magic = 12582912.0f;
  for (int32_t i = 0; i < count; i++) {
    const float shifted = x[i] * inverse + magic;
    out[i * stride] = static_cast<int8_t>(static_cast<int32_t>(shifted - magic));
  }
}

/** Where a slot lies: its block, and which of its keys it is. */
struct Slot {
  uint8_t* head;
  int32_t key;
};

void writeFloats(const HeadLayout& l, Slot s, const float* k, const float* v, int32_t headDim) {
  float* keys = reinterpret_cast<float*>(s.head);
  for (int32_t d = 0; d < headDim; d++) keys[d * keyTile + s.key] = k[d];
  memcpy(s.head + l.values + static_cast<int64_t>(s.key) * padded(headDim) * 4, v, static_cast<size_t>(headDim) * 4);
}

void writeHalves(const HeadLayout& l, Slot s, const float* k, const float* v, int32_t headDim) {
  uint32_t* keys = reinterpret_cast<uint32_t*>(s.head);
  for (int32_t d = 0; d < headDim; d += 2) {
    const uint32_t high = d + 1 < headDim ? brainOf(k[d + 1]) : 0;
    keys[d / 2 * keyTile + s.key] = high << 16 | brainOf(k[d]);
  }
  uint32_t* values = reinterpret_cast<uint32_t*>(s.head + l.values + s.key * Reader<KvFormat::bf16>::valueBytes(headDim));
  for (int32_t c = 0; c < headDim; c += 32) {
    for (int32_t i = c; i < c + 16; i++, values++) {
      const uint32_t low = i < headDim ? brainOf(v[i]) : 0, high = i + 16 < headDim ? brainOf(v[i + 16]) : 0;
      *values = high << 16 | low;
    }
  }
}

void writeBytes(const HeadLayout& l, Slot s, const float* k, const float* v, int32_t headDim) {
  const float keyScale = scaleOf(k, headDim), valueScale = scaleOf(v, headDim);
  multiplesOf(k, headDim, keyScale, reinterpret_cast<int8_t*>(s.head) + s.key, keyTile);
  multiplesOf(v, headDim, valueScale, reinterpret_cast<int8_t*>(s.head + l.values + s.key * padded(headDim)), 1);
  reinterpret_cast<float*>(s.head + l.keyScales)[s.key] = keyScale;
  reinterpret_cast<float*>(s.head + l.valueScales)[s.key] = valueScale;
}

int32_t writeTasks(const Step& s, const void* record) { return rowTasks(s, as<op::WriteKv>(record).k); }

void runWrite(const Step& s, const void* record, int32_t task, uint8_t*) {
  constexpr void (*byFormat[])(const HeadLayout&, Slot, const float*, const float*, int32_t) = {writeFloats, writeHalves, writeBytes};
  const auto& o = as<op::WriteKv>(record);
  const Cache& cache = s.caches[o.layer];
  const HeadLayout layout = headLayout(cache.format, cache.headDim);
  const auto write = byFormat[static_cast<int>(cache.format)];
  const int32_t* slots = ints(s, Field::slots);
  const Rows rows = taskRows(s, o.k, task);
  for (int32_t r = rows.begin; r < rows.end; r++) {
    uint8_t* block = cache.base + static_cast<int64_t>(slots[r] / keyTile) * cache.blockBytes;
    for (int32_t h = 0; h < cache.kvHeads; h++) {
      const int32_t column = h * cache.headDim;
      write(layout, {block + h * layout.bytes, slots[r] % keyTile}, rowOf(s, o.k, r) + column, rowOf(s, o.v, r) + column, cache.headDim);
    }
  }
}

}  // namespace

extern const Kernel writeKv = {writeTasks, runWrite, noScratch};

}  // namespace loquent::LOQUENT_ISA
