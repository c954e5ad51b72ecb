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
/** Sum of the lanes in one fixed tree. */
LOQUENT_INLINE float sumOf(F a) {
  float t[16];
  storeF(t, a);
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; i++) t[i] = t[i] + t[i + half];
  }
  return t[0];
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
  float index[16];
  for (int i = 0; i < 16; i++) index[i] = static_cast<float>(i);
  const F lane = loadF(index);
  const F low = splatF(static_cast<float>(from)), high = splatF(static_cast<float>(to));
  return whereLess(lane, low, b, whereLess(lane, high, a, b));
}

/** e^x within 2 units in the last place; 0 and infinity where a float ends. */
LOQUENT_INLINE F exponential(F x) {
  // Beyond these the result is 0 or infinity anyway, and the two scales below stay in range. NaN, second, passes.
  x = smaller(splatF(89.0f), larger(splatF(-104.0f), x));
  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
  const F magic = splatF(12582912.0f);
  const F shifted = fma(x, splatF(1.44269504f), magic);
  const F n = shifted - magic;
  // ln 2 in two parts, the first with few enough bits that its product with n is exact.
  F r = fma(n, splatF(-0.693359375f), x);
  r = fma(n, splatF(2.12194440e-4f), r);
  F p = splatF(0.0013836834114044905f);
  p = fma(p, r, splatF(0.008374822326004505f));
  p = fma(p, r, splatF(0.04166822507977486f));
  p = fma(p, r, splatF(0.16666419804096222f));
  p = fma(p, r, splatF(0.49999991059303284f));
  p = fma(p, r, splatF(1.0f));
  p = fma(p, r, splatF(1.0f));
  LOQUENT_EACH {
    // 2^n as two factors, so that subnormal results round once and 2^128 is not needed.
    const VI exponent = bits(shifted.v[i_]) - 0x4b400000;
    const VI first = exponent >> 1;
    p.v[i_] = p.v[i_] * unbits((first + 127) << 23) * unbits((exponent - first + 127) << 23);
  }
  return p;
}

/** The same for one number: the bits that a lane would have. */
LOQUENT_INLINE float exponentialOf(float x) {
  float t[16];
  storeF(t, exponential(splatF(x)));
  return t[0];
}

LOQUENT_INLINE F sigmoid(F x) { return splatF(1.0f) / (splatF(1.0f) + exponential(splatF(0.0f) - x)); }

LOQUENT_INLINE F hyperbolicTangent(F x) {
  const F t = magnitude(x), s = x * x;
  F p = splatF(-0.005659984890371561f);
  p = fma(p, s, splatF(0.02059098333120346f));
  p = fma(p, s, splatF(-0.05372106656432152f));
  p = fma(p, s, splatF(0.13331127166748047f));
  p = fma(p, s, splatF(-0.3333325982093811f));
  const F small = fma(p * s, x, x);
  const F e = exponential(t + t);
  const F large = splatF(1.0f) - splatF(2.0f) / (e + splatF(1.0f));
  return whereLess(t, splatF(0.625f), small, withSign(large, x));
}

/** 0.5 * (1 + erf(x / sqrt 2)), the distribution function of the normal law. */
LOQUENT_INLINE F normalDistribution(F x) {
  const F z = x * splatF(0.70710678f), t = magnitude(z), s = z * z;
  F p = splatF(7.853857823647559e-05f);
  p = fma(p, s, splatF(-0.0008010192541405559f));
  p = fma(p, s, splatF(0.005188327748328447f));
  p = fma(p, s, splatF(-0.026853810995817184f));
  p = fma(p, s, splatF(0.1128358542919159f));
  p = fma(p, s, splatF(-0.3761262595653534f));
  p = fma(p, s, splatF(1.1283791065216064f));
  const F inner = fma(p * z, splatF(0.5f), splatF(0.5f));
  // Beyond 1: erfc(t) = e^(-t^2) times a polynomial in 1 / (t + 2), fitted for t in [1, 6]; e^-36 ends the tail.
  const F u = splatF(1.0f) / (smaller(t, splatF(6.0f)) + splatF(2.0f));
  F q = splatF(13.145902633666992f);
  q = fma(q, u, splatF(-26.593765258789062f));
  q = fma(q, u, splatF(15.501029014587402f));
  q = fma(q, u, splatF(-0.6766692399978638f));
  q = fma(q, u, splatF(2.5563223361968994f));
  q = fma(q, u, splatF(1.069635272026062f));
  q = fma(q, u, splatF(0.5675094723701477f));
  q = fma(q, u, splatF(-8.065818110480905e-05f));
  const F tail = splatF(0.5f) * q * exponential(splatF(0.0f) - s);
  const F outer = whereLess(x, splatF(0.0f), tail, splatF(1.0f) - tail);
  return whereLess(t, splatF(1.0f), inner, outer);
}
#undef LOQUENT_EACH

/** The non-linearities of the op table. */
template <Activation A>
LOQUENT_INLINE F activate(F x) {
  if constexpr (A == Activation::relu) return larger(x, splatF(0.0f));
  if constexpr (A == Activation::gelu) return x * normalDistribution(x);
  if constexpr (A == Activation::gelu_tanh) {
    // 0.5 * (1 + tanh(u)) is sigmoid(2u), without the cancellation.
    const F cubic = fma(splatF(0.044715f) * x * x, x, x);
    return x * sigmoid(splatF(1.5957691216f) * cubic);
  }
  if constexpr (A == Activation::quick_gelu) return x * sigmoid(splatF(1.702f) * x);
  if constexpr (A == Activation::silu) return x * sigmoid(x);
  return x;
}

LOQUENT_INLINE F activate(Activation a, F x) {
  switch (a) {
    case Activation::relu: return activate<Activation::relu>(x);
    case Activation::gelu: return activate<Activation::gelu>(x);
    case Activation::gelu_tanh: return activate<Activation::gelu_tanh>(x);
    case Activation::quick_gelu: return activate<Activation::quick_gelu>(x);
    case Activation::silu: return activate<Activation::silu>(x);
    default: return x;
  }
}

}  // namespace loquent::LOQUENT_ISA
