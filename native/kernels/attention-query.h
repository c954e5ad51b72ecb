// A query as a format multiplies it: rounded once for all keys. Part of what a format means, on every instruction set.
#pragma once
#include <math.h>

#include "keys.h"

namespace loquent::LOQUENT_ISA {

/**
 * Greatest whole number of a query for the products with bytes: sums over a head stay within 31 bits. The twin of
 * backends/reference/attention.ts.
 */
constexpr float integerQuery(int32_t headDim) {
  const int32_t most = INT32_MAX / 127 / (headDim + 1);
  return static_cast<float>(most < 32767 ? most : 32767);
}

/** Writes a query's words; returns what one of its numbers is worth: 1 but for bytes, not a number where the query is not finite. */
template <KvFormat K>
LOQUENT_INLINE float encodeQuery(const float* q, int32_t headDim, uint32_t* words) {
  if constexpr (K == KvFormat::f32) memcpy(words, q, static_cast<size_t>(headDim) * 4);
  if constexpr (K == KvFormat::bf16) {
    int32_t d = 0;
#if defined(__AVX512BF16__)
    for (; d + 16 <= headDim; d += 16) {
      const __m256bh halves = _mm512_cvtneps_pbh(load(q + d));
      memcpy(words + d / 2, &halves, 32);
    }
#endif
    for (; d < headDim; d += 2) words[d / 2] = brainOf(q[d]) | static_cast<uint32_t>(d + 1 < headDim ? brainOf(q[d + 1]) : 0) << 16;
  }
  if constexpr (K != KvFormat::int8) return 1.0f;
  F most = splatF(0.0f);
  bool finite = true;
  for (int32_t d = 0; d < headDim; d += 16) {
    const F x = magnitude(loadSome(q + d, least(16, headDim - d)));
    most = larger(x, most);
    // Zero times what is not finite is not zero.
    finite = finite && sumOf(x * splatF(0.0f)) == 0.0f;
  }
  const float limit = integerQuery(headDim), greatest = largestOf(most), unit = greatest / limit;
  // A unit below the normal floats has no inverse.
  const float inverse = unit >= 0x1p-126f ? limit / greatest : 0.0f;
  if (!finite) {
    memset(words, 0, static_cast<size_t>(wordsOf<K>(headDim)) * 4);
    return NAN;
  }
  for (int32_t d = 0; d < headDim; d += 16) {
    // Adding 1.5 * 2^23 rounds to an integer, ties to even, and leaves it in the low bits.
    const F shifted = loadSome(q + d, least(16, headDim - d)) * splatF(inverse) + splatF(12582912.0f);
    uint32_t t[16];
    memcpy(t, &shifted, sizeof t);
    for (int32_t i = 0; i < 16 && d + i < headDim; i += 2) words[(d + i) / 2] = (t[i] & 0xffff) | t[i + 1] << 16;
  }
  return unit;
}

}  // namespace loquent::LOQUENT_ISA
