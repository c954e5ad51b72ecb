// Vectors for the kernels, written once. Everything here has internal linkage: a function shared between objects that
// are compiled for different instruction sets would let the linker keep the copy that older processors cannot run.
// No contraction by the compiler (-ffp-contract=off): where a product is fused, the source says so.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define LOQUENT_INLINE [[maybe_unused]] static inline __attribute__((always_inline))

namespace loquent::LOQUENT_ISA {

#if defined(__AVX512F__)
typedef __m512 V;
typedef int32_t VI __attribute__((vector_size(64)));
constexpr int lanes = 16;
#elif defined(__AVX2__)
typedef __m256 V;
typedef int32_t VI __attribute__((vector_size(32)));
constexpr int lanes = 8;
#else
typedef float V __attribute__((vector_size(16)));
typedef int32_t VI __attribute__((vector_size(16)));
constexpr int lanes = 4;
#endif

LOQUENT_INLINE V load(const float* p) {
  V v;
  memcpy(&v, p, sizeof v);
  return v;
}
LOQUENT_INLINE void store(float* p, V v) { memcpy(p, &v, sizeof v); }
LOQUENT_INLINE V splat(float x) {
#if defined(__AVX512F__)
  return _mm512_set1_ps(x);
#elif defined(__AVX2__)
  return _mm256_set1_ps(x);
#else
  return V{x, x, x, x};
#endif
}
LOQUENT_INLINE VI bits(V v) {
  VI i;
  memcpy(&i, &v, sizeof v);
  return i;
}
LOQUENT_INLINE V unbits(VI i) {
  V v;
  memcpy(&v, &i, sizeof v);
  return v;
}

/** a * b + c, rounded once where the instruction set can. */
LOQUENT_INLINE V fma(V a, V b, V c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__)
  return _mm256_fmadd_ps(a, b, c);
#elif defined(__aarch64__)
  return (V)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return a * b + c;
#endif
}
/** a where mask is set, else b. */
LOQUENT_INLINE V select(VI mask, V a, V b) { return unbits((mask & bits(a)) | (~mask & bits(b))); }
/** b where either is not a number. */
LOQUENT_INLINE V larger(V a, V b) {
#if defined(__AVX512F__)
  return _mm512_max_ps(a, b);
#elif defined(__AVX2__)
  return _mm256_max_ps(a, b);
#else
  return select((VI)(a > b), a, b);
#endif
}
LOQUENT_INLINE V smaller(V a, V b) {
#if defined(__AVX512F__)
  return _mm512_min_ps(a, b);
#elif defined(__AVX2__)
  return _mm256_min_ps(a, b);
#else
  return select((VI)(a < b), a, b);
#endif
}

LOQUENT_INLINE float halfToFloatBits(uint32_t h) {
  // Exponent and mantissa moved into place are 2^112 too small; the product mends that, subnormals included.
  const uint32_t magnitude = (h & 0x7fff) << 13;
  uint32_t scale = 0x77800000;
  float f, s;
  memcpy(&f, &magnitude, 4);
  memcpy(&s, &scale, 4);
  f *= s;
  uint32_t out;
  memcpy(&out, &f, 4);
  if (magnitude >= 0x0f800000) out = magnitude | 0x7f800000;
  out |= (h & 0x8000) << 16;
  memcpy(&f, &out, 4);
  return f;
}

/** `lanes` consecutive half floats. */
LOQUENT_INLINE V loadHalf(const uint8_t* p) {
#if defined(__AVX512F__)
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
#elif defined(__AVX2__)
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#else
  float f[lanes];
  for (int i = 0; i < lanes; i++) f[i] = halfToFloatBits(static_cast<uint32_t>(p[2 * i] | p[2 * i + 1] << 8));
  return load(f);
#endif
}
/** `lanes` consecutive brain floats. */
LOQUENT_INLINE V loadBrain(const uint8_t* p) {
#if defined(__AVX512F__)
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))), 16));
#elif defined(__AVX2__)
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))), 16));
#else
  uint16_t h[lanes];
  memcpy(h, p, sizeof h);
  VI i = {h[0], h[1], h[2], h[3]};
  return unbits(i << 16);
#endif
}
/** `lanes` consecutive signed bytes. */
LOQUENT_INLINE V loadBytes(const uint8_t* p) {
#if defined(__AVX512F__)
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#elif defined(__AVX2__)
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
#else
  float f[lanes];
  for (int i = 0; i < lanes; i++) f[i] = static_cast<float>(static_cast<int8_t>(p[i]));
  return load(f);
#endif
}

/**
 * Sixteen floats, whatever the registers: reductions over F have the same lanes and so the same bits on every
 * instruction set that fuses products.
 */
constexpr int parts = 16 / lanes;
struct F {
  V v[parts];
};

#define LOQUENT_EACH for (int i_ = 0; i_ < parts; i_++)
LOQUENT_INLINE F loadF(const float* p) {
  F r;
  LOQUENT_EACH r.v[i_] = load(p + i_ * lanes);
  return r;
}
LOQUENT_INLINE void storeF(float* p, F a) { LOQUENT_EACH store(p + i_ * lanes, a.v[i_]); }
LOQUENT_INLINE F splatF(float x) {
  F r;
  LOQUENT_EACH r.v[i_] = splat(x);
  return r;
}
LOQUENT_INLINE F operator+(F a, F b) {
  LOQUENT_EACH a.v[i_] = a.v[i_] + b.v[i_];
  return a;
}
LOQUENT_INLINE F operator-(F a, F b) {
  LOQUENT_EACH a.v[i_] = a.v[i_] - b.v[i_];
  return a;
}
LOQUENT_INLINE F operator*(F a, F b) {
  LOQUENT_EACH a.v[i_] = a.v[i_] * b.v[i_];
  return a;
}
LOQUENT_INLINE F operator/(F a, F b) {
  LOQUENT_EACH a.v[i_] = a.v[i_] / b.v[i_];
  return a;
}
LOQUENT_INLINE F fma(F a, F b, F c) {
  LOQUENT_EACH c.v[i_] = fma(a.v[i_], b.v[i_], c.v[i_]);
  return c;
}
LOQUENT_INLINE F larger(F a, F b) {
  LOQUENT_EACH a.v[i_] = larger(a.v[i_], b.v[i_]);
  return a;
}
LOQUENT_INLINE F smaller(F a, F b) {
  LOQUENT_EACH a.v[i_] = smaller(a.v[i_], b.v[i_]);
  return a;
}
/** x where c < d, else y. */
LOQUENT_INLINE F whereLess(F c, F d, F x, F y) {
  LOQUENT_EACH x.v[i_] = select((VI)(c.v[i_] < d.v[i_]), x.v[i_], y.v[i_]);
  return x;
}
LOQUENT_INLINE F magnitude(F a) {
  LOQUENT_EACH a.v[i_] = unbits(bits(a.v[i_]) & 0x7fffffff);
  return a;
}
/** |a| with the sign of s. */
LOQUENT_INLINE F withSign(F a, F s) {
  LOQUENT_EACH a.v[i_] = unbits((bits(a.v[i_]) & 0x7fffffff) | (bits(s.v[i_]) & (int32_t)0x80000000));
  return a;
}
/** Up to 16 floats; the rest are zero. */
LOQUENT_INLINE F loadSome(const float* p, int count) {
  float t[16] = {};
  memcpy(t, p, static_cast<size_t>(count) * 4);
  return loadF(t);
}
LOQUENT_INLINE void storeSome(float* p, F a, int count) {
  float t[16];
  storeF(t, a);
  memcpy(p, t, static_cast<size_t>(count) * 4);
}
/** The same where mostly all 16 are there. */
LOQUENT_INLINE F loadUpTo(const float* p, int32_t count) { return count == 16 ? loadF(p) : loadSome(p, count); }
LOQUENT_INLINE void storeUpTo(float* p, F a, int32_t count) {
  if (count == 16) return storeF(p, a);
  storeSome(p, a, count);
}
/** Sum of the lanes in one fixed tree. */
LOQUENT_INLINE float sumOf(F a) {
#if defined(__AVX512F__)
  const __m256 eight = _mm512_castps512_ps256(a.v[0]) + _mm512_extractf32x8_ps(a.v[0], 1);
  const __m128 four = _mm256_castps256_ps128(eight) + _mm256_extractf128_ps(eight, 1), two = four + _mm_movehl_ps(four, four);
  return two[0] + two[1];
#else
  float t[16];
  storeF(t, a);
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; i++) t[i] = t[i] + t[i + half];
  }
  return t[0];
#endif
}
LOQUENT_INLINE float largestOf(F a) {
#if defined(__AVX512F__)
  return _mm512_reduce_max_ps(a.v[0]);
#else
  float t[16];
  storeF(t, a);
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; i++) t[i] = t[i] > t[i + half] ? t[i] : t[i + half];
  }
  return t[0];
#endif
}
/** Lanes `[from, to)` of a, the others of b. */
LOQUENT_INLINE F inRange(int from, int to, F a, F b) {
#if defined(__AVX512F__)
  const uint32_t below = to < 16 ? (1u << (to > 0 ? to : 0)) - 1 : 0xffff, before = (1u << (from < 0 ? 0 : from < 16 ? from : 16)) - 1;
  a.v[0] = _mm512_mask_blend_ps(static_cast<__mmask16>(below & ~before), b.v[0], a.v[0]);
  return a;
#else
  float index[16];
  for (int i = 0; i < 16; i++) index[i] = static_cast<float>(i);
  const F lane = loadF(index);
  const F low = splatF(static_cast<float>(from)), high = splatF(static_cast<float>(to));
  return whereLess(lane, low, b, whereLess(lane, high, a, b));
#endif
}

#undef LOQUENT_EACH

}  // namespace loquent::LOQUENT_ISA
