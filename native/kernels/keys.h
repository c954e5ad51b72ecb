// How keys and values come out of the cache as floats, a reader a format. Internal linkage throughout, as in simd.h.
#pragma once
#include "call.h"

namespace loquent::LOQUENT_ISA {

constexpr int32_t padded(int32_t headDim) { return (headDim + keyTile - 1) / keyTile * keyTile; }

/** One head of one block. */
struct Head {
  const uint8_t* keys;
  const uint8_t* values;
  const float* keyScales;
  const float* valueScales;
};

LOQUENT_INLINE Head headOf(const Cache& c, int64_t block, int32_t head) {
  const HeadLayout layout = headLayout(c.format, c.headDim);
  const uint8_t* base = c.base + block * c.blockBytes + head * layout.bytes;
  return {base, base + layout.values, reinterpret_cast<const float*>(base + layout.keyScales),
          reinterpret_cast<const float*>(base + layout.valueScales)};
}

/** The halves of 16 words as brain floats: `low` those at even places, the first in memory. */
LOQUENT_INLINE F lowHalves(const uint8_t* p) {
  F r;
  for (int i = 0; i < parts; i++) r.v[i] = unbits(bits(load(reinterpret_cast<const float*>(p) + i * lanes)) << 16);
  return r;
}
LOQUENT_INLINE F highHalves(const uint8_t* p) {
  F r;
  for (int i = 0; i < parts; i++) {
    r.v[i] = unbits(bits(load(reinterpret_cast<const float*>(p) + i * lanes)) & static_cast<int32_t>(0xffff0000));
  }
  return r;
}
LOQUENT_INLINE F bytesF(const uint8_t* p) {
  F r;
  for (int i = 0; i < parts; i++) r.v[i] = loadBytes(p + i * lanes);
  return r;
}

/**
 * `key`: dimension d of 16 keys. `value`: the n-th 16 dimensions from `column` on of a row of values; `column` is a multiple of
 * 32 where n goes beyond 0, so that the parity is known when this is compiled.
 */
template <KvFormat K>
struct Reader;

template <>
struct Reader<KvFormat::f32> {
  static int64_t valueBytes(int32_t headDim) { return padded(headDim) * 4; }
  static inline __attribute__((always_inline)) F key(const uint8_t* keys, int32_t d) { return loadF(reinterpret_cast<const float*>(keys) + d * keyTile); }
  template <bool Single>
  static inline __attribute__((always_inline)) F value(const uint8_t* row, int32_t column, int n) {
    return loadF(reinterpret_cast<const float*>(row) + column + 16 * n);
  }
};

template <>
struct Reader<KvFormat::bf16> {
  static int64_t valueBytes(int32_t headDim) { return (headDim + 31) / 32 * 64; }
  static inline __attribute__((always_inline)) F key(const uint8_t* keys, int32_t d) {
    const uint8_t* words = keys + (d >> 1) * keyTile * 4;
    return d & 1 ? highHalves(words) : lowHalves(words);
  }
  template <bool Single>
  static inline __attribute__((always_inline)) F value(const uint8_t* row, int32_t column, int n) {
    const bool high = Single ? column & 16 : n & 1;
    const uint8_t* words = row + (column / 32 + n / 2) * 64;
    return high ? highHalves(words) : lowHalves(words);
  }
};

template <>
struct Reader<KvFormat::int8> {
  static int64_t valueBytes(int32_t headDim) { return padded(headDim); }
  static inline __attribute__((always_inline)) F key(const uint8_t* keys, int32_t d) { return bytesF(keys + d * keyTile); }
  template <bool Single>
  static inline __attribute__((always_inline)) F value(const uint8_t* row, int32_t column, int n) {
    return bytesF(row + column + 16 * n);
  }
};

}  // namespace loquent::LOQUENT_ISA
