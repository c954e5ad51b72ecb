// writeKv: keys and values of a step into the paged cache, rounded to what it keeps. Twin: backends/reference.
#include <math.h>

#include "keys.h"

namespace loquent::LOQUENT_ISA {
namespace {

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

/** A multiple of the scale: nearest, ties to even, by adding 1.5 * 2^23. */
LOQUENT_INLINE int8_t multipleOf(float x, float inverse) {
  constexpr float magic = 12582912.0f;
  return static_cast<int8_t>(static_cast<int32_t>(x * inverse + magic - magic));
}

/** A scale below the normal floats has no inverse. */
LOQUENT_INLINE float inverseOf(float scale) { return scale >= 0x1p-126f ? 1.0f / scale : 0.0f; }

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

// Two keys share the words of their values, and two threads may write them at once: stores are of one key's half only.

void writeHalves(const HeadLayout& l, Slot s, const float* k, const float* v, int32_t headDim) {
  uint32_t* keys = reinterpret_cast<uint32_t*>(s.head);
  for (int32_t d = 0; d < headDim; d += 2) {
    const uint32_t high = d + 1 < headDim ? brainOf(k[d + 1]) : 0;
    keys[d / 2 * keyTile + s.key] = high << 16 | brainOf(k[d]);
  }
  if (!v) return;
  uint16_t* values = reinterpret_cast<uint16_t*>(s.head + l.values) + s.key / 2 * padded(headDim) * 2 + s.key % 2;
  for (int32_t d = 0; d < headDim; d++) values[2 * d] = brainOf(v[d]);
}

/** The values of two keys that share words. */
void writePair(const HeadLayout& l, Slot s, const float* first, const float* second, int32_t headDim) {
  uint32_t* words = reinterpret_cast<uint32_t*>(s.head + l.values) + s.key / 2 * padded(headDim);
  int32_t d = 0;
#if defined(__AVX512BF16__)
  for (; d + 16 <= headDim; d += 16) {
    const __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(load(first + d)));
    const __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(load(second + d)));
    _mm512_storeu_si512(words + d, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
  }
#endif
  for (; d < headDim; d++) words[d] = static_cast<uint32_t>(brainOf(second[d])) << 16 | brainOf(first[d]);
}

void writeBytes(const HeadLayout& l, Slot s, const float* k, const float* v, int32_t headDim) {
  const float keyScale = scaleOf(k, headDim), valueScale = scaleOf(v, headDim);
  const float keyInverse = inverseOf(keyScale), valueInverse = inverseOf(valueScale);
  int8_t* keys = reinterpret_cast<int8_t*>(s.head) + 2 * s.key;
  for (int32_t d = 0; d < headDim; d++) keys[d / 2 * keyTile * 2 + d % 2] = multipleOf(k[d], keyInverse);
  if (headDim % 2) keys[headDim / 2 * keyTile * 2 + 1] = 0;
  int8_t* values = reinterpret_cast<int8_t*>(s.head + l.values) + s.key / 2 * padded(headDim) * 2 + s.key % 2;
  for (int32_t d = 0; d < headDim; d++) values[2 * d] = multipleOf(v[d], valueInverse);
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
  // Whether this piece has the other key of this one's words too; then the first of the two writes the values of both.
  const auto pairs = [&](int32_t r) {
    return cache.format == KvFormat::bf16 && r >= rows.begin && r + 1 < rows.end && slots[r] % 2 == 0 && slots[r + 1] == slots[r] + 1;
  };
  for (int32_t r = rows.begin; r < rows.end; r++) {
    uint8_t* block = cache.base + static_cast<int64_t>(slots[r] / keyTile) * cache.blockBytes;
    const bool first = pairs(r), second = pairs(r - 1);
    for (int32_t h = 0; h < cache.kvHeads; h++) {
      const int32_t column = h * cache.headDim;
      const Slot slot = {block + h * layout.bytes, slots[r] % keyTile};
      const float* v = rowOf(s, o.v, r) + column;
      if (first) writePair(layout, slot, v, rowOf(s, o.v, r + 1) + column, cache.headDim);
      write(layout, slot, rowOf(s, o.k, r) + column, first || second ? nullptr : v, cache.headDim);
    }
  }
}

}  // namespace

extern const Kernel writeKv = {writeTasks, runWrite, noScratch};

}  // namespace loquent::LOQUENT_ISA
