// Rotary positions: a head rotated by the cosines and sines of its token. Twin: backends/reference/rope.ts.
#pragma once
#include "call.h"

namespace loquent::LOQUENT_ISA {

// Vectors by hand: as `out` may be `x`, the compiler would not dare.

LOQUENT_INLINE void rotateHalves(const float* x, const float* cosines, const float* sines, float* out, int32_t half) {
  int32_t i = 0;
  for (; i + 16 <= half; i += 16) {
    const F a = loadF(x + i), b = loadF(x + i + half), c = loadF(cosines + i), s = loadF(sines + i);
    storeF(out + i, a * c - b * s);
    storeF(out + i + half, b * c + a * s);
  }
  for (; i < half; i++) {
    const float a = x[i], b = x[i + half];
    out[i] = a * cosines[i] - b * sines[i];
    out[i + half] = b * cosines[i] + a * sines[i];
  }
}

LOQUENT_INLINE void rotatePairs(const float* x, const float* cosines, const float* sines, float* out, int32_t half) {
  VI swapped, doubled[2], sign;
  for (int l = 0; l < lanes; l++) {
    swapped[l] = l ^ 1;
    for (int h = 0; h < 2; h++) doubled[h][l] = (l + h * lanes) / 2;
    sign[l] = l % 2 == 0 ? static_cast<int32_t>(0x80000000) : 0;
  }
  int32_t i = 0;
  for (; i + lanes <= half; i += lanes) {
    const V c = load(cosines + i), s = load(sines + i);
    for (int h = 0; h < 2; h++) {
      const V pairs = load(x + 2 * i + h * lanes), turned = unbits(bits(__builtin_shuffle(s, doubled[h])) ^ sign);
      store(out + 2 * i + h * lanes, pairs * __builtin_shuffle(c, doubled[h]) + __builtin_shuffle(pairs, swapped) * turned);
    }
  }
  for (; i < half; i++) {
    const float a = x[2 * i], b = x[2 * i + 1];
    out[2 * i] = a * cosines[i] - b * sines[i];
    out[2 * i + 1] = b * cosines[i] + a * sines[i];
  }
}

/** One head; `row` is that of its token in `table`. The dimensions after the rotated ones pass. */
LOQUENT_INLINE void rotateHead(Style style, const float* x, const float* row, int32_t half, float* out, int32_t headDim) {
  (style == Style::half ? rotateHalves : rotatePairs)(x, row, row + half, out, half);
  if (out != x) memcpy(out + 2 * half, x + 2 * half, static_cast<size_t>(headDim - 2 * half) * 4);
}

}  // namespace loquent::LOQUENT_ISA
