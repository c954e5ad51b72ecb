// What the sampling kernels share: an order on floats, selection of the n-th, exponentials in double.
#pragma once
#include <math.h>

#include "call.h"

namespace loquent::LOQUENT_ISA {

/** Ascending with the float. NaN does not come here. Both zeros are equal, as `==` has it. */
LOQUENT_INLINE uint32_t orderOf(float x) {
  x = x + 0.0f;
  uint32_t u;
  memcpy(&u, &x, 4);
  return u & 0x80000000 ? ~u : u | 0x80000000;
}
LOQUENT_INLINE float valueOf(uint32_t order) {
  const uint32_t u = order & 0x80000000 ? order & 0x7fffffff : ~order;
  float x;
  memcpy(&x, &u, 4);
  return x;
}

constexpr int radixBits = 11;
constexpr int radixSize = 1 << radixBits;

/** The n-th greatest (from 1) of `width` floats, by counting digits from the top: no sort, linear time. */
LOQUENT_INLINE float nthGreatest(const float* x, int32_t width, int32_t n, uint32_t* counts) {
  uint32_t prefix = 0, mask = 0;
  int32_t left = n;
  for (int shift = 32 - radixBits; ; shift = shift > radixBits ? shift - radixBits : 0) {
    const uint32_t digits = mask == 0 ? radixSize : (shift == 0 ? 1u << 10 : radixSize);
    memset(counts, 0, digits * 4);
    for (int32_t i = 0; i < width; i++) {
      const uint32_t u = orderOf(x[i]);
      if ((u & mask) == prefix) counts[u >> shift & (digits - 1)]++;
    }
    uint32_t digit = digits - 1;
    while (static_cast<int32_t>(counts[digit]) < left) left -= static_cast<int32_t>(counts[digit--]);
    prefix |= digit << shift;
    mask |= (digits - 1) << shift;
    if (shift == 0) return valueOf(prefix);
  }
}

/** e^(x - maximum) of a row, 0 where that is below e^-700. No branch in the loop, so that it becomes vector code. */
LOQUENT_INLINE void exponentials(const float* x, int32_t width, float maximum, double* out) {
  for (int32_t i = 0; i < width; i++) {
    double d = static_cast<double>(x[i]) - static_cast<double>(maximum);
    const bool tiny = !(d > -700.0);
    d = tiny ? -700.0 : d;
    const double magic = 6755399441055744.0;
    const double shifted = d * 1.4426950408889634 + magic;
    const double n = shifted - magic;
    const double r = (d - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
    double p = 4.714325632657169e-09;
    p = p * r + 2.6619991158412386e-07;
    p = p * r + 2.7620626698393446e-06;
    p = p * r + 2.48044487639134e-05;
    p = p * r + 0.0001984119736422916;
    p = p * r + 0.0013888885829711904;
    p = p * r + 0.008333333369326594;
    p = p * r + 0.041666666680723934;
    p = p * r + 0.1666666666659806;
    p = p * r + 0.49999999999973777;
    p = p * r + 1.0;
    p = p * r + 1.0;
    uint64_t bits;
    memcpy(&bits, &shifted, 8);
    const uint64_t power = (bits + 1023) << 52;
    double scale;
    memcpy(&scale, &power, 8);
    out[i] = tiny ? 0.0 : p * scale;
  }
}

struct Extent {
  float maximum;
  /** False when any is NaN or +infinity, or all are -infinity. */
  bool finite;
};

LOQUENT_INLINE Extent extentOf(const float* x, int32_t width) {
  F most = splatF(-INFINITY);
  uint32_t bad = 0;
  int32_t i = 0;
  for (; i + 16 <= width; i += 16) most = larger(loadF(x + i), most);
  float maximum = largestOf(most);
  for (; i < width; i++) maximum = x[i] > maximum ? x[i] : maximum;
  for (i = 0; i < width; i++) {
    uint32_t u;
    memcpy(&u, x + i, 4);
    bad |= (static_cast<int32_t>(u) >= 0x7f800000) | (u > 0xff800000u);
  }
  return {maximum, !bad && maximum > -INFINITY};
}

/** Sum in eight interleaved lanes, then over them in order. */
LOQUENT_INLINE double sumOf(const double* x, int32_t width) {
  double lane[8] = {};
  int32_t i = 0;
  for (; i + 8 <= width; i += 8) {
    for (int j = 0; j < 8; j++) lane[j] += x[i + j];
  }
  for (int j = 0; i < width; i++, j++) lane[j] += x[i];
  double sum = 0;
  for (int j = 0; j < 8; j++) sum += lane[j];
  return sum;
}

/** Moves a row when the output has a place of its own. */
LOQUENT_INLINE void carryRow(float* out, const float* in, int32_t width) {
  if (out != in) memcpy(out, in, static_cast<size_t>(width) * 4);
}

}  // namespace loquent::LOQUENT_ISA
