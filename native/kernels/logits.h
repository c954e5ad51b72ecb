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

/** 16 floats from `p`, of which only the first `count` are there; the others are -infinity. */
LOQUENT_INLINE F loadLogits(const float* p, int32_t count) {
  if (count >= 16) return loadF(p);
  float t[16];
  for (int i = 0; i < 16; i++) t[i] = i < count ? p[i] : -INFINITY;
  return loadF(t);
}

struct Extent {
  float maximum;
  /** False when any is NaN or +infinity, or all are -infinity. */
  bool finite;
};

LOQUENT_INLINE Extent extentOf(const float* x, int32_t width) {
  F most = splatF(-INFINITY);
  VI bad = bits(splat(0.0f));
  for (int32_t i = 0; i < width; i += 16) {
    const F v = loadLogits(x + i, width - i);
    most = larger(v, most);
    for (int j = 0; j < parts; j++) {
      // As integers: infinity and what is above it, and what is between the least of them, -infinity, and zero.
      const VI u = bits(v.v[j]);
      bad |= static_cast<VI>(u >= 0x7f800000) | (static_cast<VI>(u < 0) & static_cast<VI>(u > static_cast<int32_t>(0xff800000)));
    }
  }
  int32_t any = 0;
  for (int i = 0; i < lanes; i++) any |= bad[i];
  const float maximum = largestOf(most);
  return {maximum, !any && maximum > -INFINITY};
}

/** e^d for the distances of logits from their greatest; what is below e^-80 of it is nothing. */
LOQUENT_INLINE F massOf(F d) { return whereLess(d, splatF(-80.0f), splatF(0.0f), exponential(larger(splatF(-80.0f), d))); }

/** Logits whose masses are added up by lane, in float32, before they go to a sum in double. */
constexpr int32_t stretch = 1024;

/** What a row of logits comes to: its greatest, and the sum of e^(logit - greatest). */
struct Distribution {
  float maximum;
  /** False when any logit is NaN or +infinity, or all are -infinity. */
  bool finite;
  double total;
};

/** The greatest of a stretch, and its mass relative to that. */
struct Stretch {
  float maximum;
  float mass;
};

/** The mass of a stretch relative to the greatest of its row; what is below e^-80 of it is nothing. */
LOQUENT_INLINE double massIn(const Stretch& s, float maximum) {
  const double distance = static_cast<double>(s.maximum) - static_cast<double>(maximum);
  if (distance == 0) return static_cast<double>(s.mass);
  return distance < -80 ? 0 : static_cast<double>(s.mass) * exp(distance);
}

LOQUENT_INLINE float greatestOf(const float* x, int32_t count) {
  constexpr int32_t side = 4;
  F most[side];
  for (int j = 0; j < side; j++) most[j] = splatF(-INFINITY);
  int32_t i = 0;
  for (; i + 16 * side <= count; i += 16 * side) {
    for (int j = 0; j < side; j++) most[j] = larger(loadF(x + i + 16 * j), most[j]);
  }
  for (; i < count; i += 16) most[0] = larger(loadLogits(x + i, count - i), most[0]);
  return largestOf(larger(larger(most[0], most[1]), larger(most[2], most[3])));
}

/** Relative to its own greatest, a stretch is done while it is in the nearest cache. A mass that is not a number says that a logit is none. */
LOQUENT_INLINE Stretch stretchOf(const float* x, int32_t count) {
  constexpr float powersOfTwo = 1.44269504f;
  const float maximum = greatestOf(x, count);
  const F from = splatF(maximum > -INFINITY ? maximum : 0.0f), factor = splatF(powersOfTwo);
  const auto massOf = [&](F v) { return exponential2<5>((v - from) * factor); };
  F sum = splatF(0.0f);
  for (int32_t i = 0; i < count; i += 16) sum = sum + massOf(loadLogits(x + i, count - i));
  return {maximum, sumOf(sum)};
}

constexpr size_t stretchesOf(size_t width) { return (width + stretch - 1) / stretch; }

/** One pass over a row. `list` gets its stretches. */
LOQUENT_INLINE Distribution distributionOf(const float* x, int32_t width, Stretch* list) {
  Distribution d = {-INFINITY, true, 0};
  const int32_t count = ceilDiv(width, stretch);
  for (int32_t i = 0; i < count; i++) {
    list[i] = stretchOf(x + i * stretch, least(stretch, width - i * stretch));
    d.finite = d.finite && list[i].mass < INFINITY;
    d.maximum = list[i].maximum > d.maximum ? list[i].maximum : d.maximum;
  }
  d.finite = d.finite && d.maximum > -INFINITY && d.maximum < INFINITY;
  for (int32_t i = 0; d.finite && i < count; i++) d.total += massIn(list[i], d.maximum);
  return d;
}

/** Whether any lane is at least so great. */
LOQUENT_INLINE bool anyAtLeast(F v, float bound) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask(v.v[0], splat(bound), _CMP_GE_OQ) != 0;
#elif defined(__AVX2__)
  return _mm256_movemask_ps(_mm256_or_ps(_mm256_cmp_ps(v.v[0], splat(bound), _CMP_GE_OQ), _mm256_cmp_ps(v.v[1], splat(bound), _CMP_GE_OQ))) != 0;
#else
  return largestOf(v) >= bound;
#endif
}

constexpr size_t groupMaxima(size_t width) { return (width + stretch - 1) / stretch * 16; }

/**
 * The n-th greatest of a row without NaN. The n-th greatest of the maxima of disjoint groups is a lower bound, which few
 * others pass; only those are looked at closely. `room` holds as many floats as the row, and one for each group.
 */
LOQUENT_INLINE float nthLogit(const float* x, int32_t width, int32_t n, float* room, uint32_t* counts) {
  const int32_t groups = ceilDiv(width, stretch) * 16;
  if (n > groups / 4) return nthGreatest(x, width, n, counts);
  float* maxima = room + width;
  for (int32_t i = 0; i < width; i += stretch) {
    const int32_t count = least(stretch, width - i);
    F most = splatF(-INFINITY);
    for (int32_t j = 0; j < count; j += 16) most = larger(loadLogits(x + i + j, count - j), most);
    storeF(maxima + i / stretch * 16, most);
  }
  const float bound = nthGreatest(maxima, groups, n, counts);
  int32_t found = 0;
  for (int32_t i = 0; i < width; i += 16) {
    const F v = loadLogits(x + i, width - i);
    if (!anyAtLeast(v, bound)) continue;
    for (int32_t j = i; j < least(i + 16, width); j++) {
      if (x[j] >= bound) room[found++] = x[j];
    }
  }
  return nthGreatest(room, found, n, counts);
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
