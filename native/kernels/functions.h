// Exponential, hyperbolic tangent, normal distribution, and from them the non-linearities of the op table. Polynomials are
// least-maximum fits made for these intervals; every lane computes the same, so a value's bits do not depend on its lane.
#pragma once
#include "simd.h"

namespace loquent::LOQUENT_ISA {

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
  for (int i = 0; i < parts; i++) {
    // 2^n as two factors, so that subnormal results round once and 2^128 is not needed.
    const VI exponent = bits(shifted.v[i]) - 0x4b400000;
    const VI first = exponent >> 1;
    p.v[i] = p.v[i] * unbits((first + 127) << 23) * unbits((exponent - first + 127) << 23);
  }
  return p;
}

/** The same for one number: the bits that a lane would have. */
LOQUENT_INLINE float exponentialOf(float x) {
  float t[16];
  storeF(t, exponential(splatF(x)));
  return t[0];
}

/**
 * 2^x for x up to 126; 0 where a float ends. Below the normal floats it rounds once. `degree` 5: within 2 units in the last
 * place, and the same bits on every instruction set that fuses products; 4: within 3e-6 of the result, for what is rounded to bf16.
 */
template <int degree>
LOQUENT_INLINE F exponential2(F x) {
  static_assert(degree == 4 || degree == 5);
  // Below this the result is 0 anyway, and the two scales below stay in range. NaN, second, passes.
  x = larger(splatF(-152.0f), x);
#if defined(__AVX512F__)
  F n;
  n.v[0] = _mm512_roundscale_ps(x.v[0], _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
#else
  const F magic = splatF(12582912.0f);
  F n = (x + magic) - magic;
  n = whereLess(x, n, n - splatF(1.0f), n);
#endif
  const F r = x - n;
  F p = splatF(degree == 5 ? 0.0018671301659196615f : 0.013426685705780983f);
  if constexpr (degree == 5) p = fma(p, r, splatF(0.009017029777169228f));
  p = fma(p, r, splatF(degree == 5 ? 0.05579991266131401f : 0.052242472767829895f));
  p = fma(p, r, splatF(degree == 5 ? 0.24016444385051727f : 0.2412802129983902f));
  p = fma(p, r, splatF(degree == 5 ? 0.6931512951850891f : 0.6930448412895203f));
  p = fma(p, r, splatF(1.0f));
#if defined(__AVX512F__)
  p.v[0] = _mm512_scalef_ps(p.v[0], n.v[0]);
#else
  for (int i = 0; i < parts; i++) {
    const VI exponent = bits(n.v[i] + splat(12582912.0f)) - 0x4b400000;
    const VI first = exponent >> 1;
    p.v[i] = p.v[i] * unbits((first + 127) << 23) * unbits((exponent - first + 127) << 23);
  }
#endif
  return p;
}

/** 2^n of a whole number of at most 0; what is below the normal floats, or not a number, is 0. */
LOQUENT_INLINE float powerOfTwo(float n) {
  if (!(n >= -126.0f)) return 0.0f;
  const int32_t i = (static_cast<int32_t>(n) + 127) << 23;
  float f;
  memcpy(&f, &i, 4);
  return f;
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
