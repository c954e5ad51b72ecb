// How the cache is read: vectors of 16 words, and what a word is multiplied with, by format. Internal linkage throughout,
// as in simd.h.
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

LOQUENT_INLINE Head headAt(const uint8_t* base, const HeadLayout& layout) {
  return {base, base + layout.values, reinterpret_cast<const float*>(base + layout.keyScales),
          reinterpret_cast<const float*>(base + layout.valueScales)};
}

/** The nearest brain float, ties to even. */
LOQUENT_INLINE uint16_t brainOf(float x) {
  uint32_t u;
  memcpy(&u, &x, 4);
  if ((u & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>(u >> 16 | 0x40);
  return static_cast<uint16_t>((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/** Sixteen 32-bit words. */
struct Words {
  VI v[parts];
};

LOQUENT_INLINE Words splatWords(uint32_t x) {
  Words w;
  for (int i = 0; i < parts; i++) {
#if defined(__AVX512F__)
    w.v[i] = (VI)_mm512_set1_epi32(static_cast<int32_t>(x));
#elif defined(__AVX2__)
    w.v[i] = (VI)_mm256_set1_epi32(static_cast<int32_t>(x));
#else
    const int32_t s = static_cast<int32_t>(x);
    w.v[i] = VI{s, s, s, s};
#endif
  }
  return w;
}
LOQUENT_INLINE Words loadWords(const uint8_t* p) {
  Words w;
  memcpy(&w, p, sizeof w);
  return w;
}
LOQUENT_INLINE Words operator&(Words a, Words b) {
  for (int i = 0; i < parts; i++) a.v[i] = a.v[i] & b.v[i];
  return a;
}
/** The halves of words as brain floats. */
LOQUENT_INLINE F lowHalves(Words w) {
  F r;
  for (int i = 0; i < parts; i++) r.v[i] = unbits(w.v[i] << 16);
  return r;
}
LOQUENT_INLINE F highHalves(Words w) {
  F r;
  for (int i = 0; i < parts; i++) r.v[i] = unbits(w.v[i] & static_cast<int32_t>(0xffff0000));
  return r;
}
LOQUENT_INLINE F toFloats(Words w) {
  F r;
  for (int i = 0; i < parts; i++) r.v[i] = __builtin_convertvector(w.v[i], V);
  return r;
}

#define LOQUENT_MEMBER static inline __attribute__((always_inline))

/**
 * Products of a format. `numbers` of the cache share a word of `bytes`: dimensions of a key, or keys of a dimension of the values.
 * What they are multiplied with is words of 4 bytes, with as many numbers. `add` gives each of 16 sums one word more.
 */
template <KvFormat K>
struct Product;

template <>
struct Product<KvFormat::f32> {
  static constexpr int numbers = 1, bytes = 4;
  using Vector = F;
  using Sum = F;
  LOQUENT_MEMBER Vector load(const uint8_t* p) { return loadF(reinterpret_cast<const float*>(p)); }
  LOQUENT_MEMBER Vector splat(uint32_t word) {
    float f;
    memcpy(&f, &word, 4);
    return splatF(f);
  }
  LOQUENT_MEMBER Sum zero() { return splatF(0.0f); }
  LOQUENT_MEMBER Sum add(Sum sum, Vector x, Vector y) { return fma(x, y, sum); }
  LOQUENT_MEMBER Vector keep(Vector x, uint32_t) { return x; }
};

/** Products are exact; each of the two is added with one rounding. */
template <>
struct Product<KvFormat::bf16> {
  static constexpr int numbers = 2, bytes = 4;
  using Vector = Words;
  using Sum = F;
  LOQUENT_MEMBER Vector load(const uint8_t* p) { return loadWords(p); }
  LOQUENT_MEMBER Vector splat(uint32_t word) { return splatWords(word); }
  LOQUENT_MEMBER Sum zero() { return splatF(0.0f); }
  LOQUENT_MEMBER Sum add(Sum sum, Vector x, Vector y) {
#if defined(__AVX512BF16__)
    sum.v[0] = _mm512_dpbf16_ps(sum.v[0], (__m512bh)x.v[0], (__m512bh)y.v[0]);
    return sum;
#else
    return fma(highHalves(x), highHalves(y), fma(lowHalves(x), lowHalves(y), sum));
#endif
  }
  /** Only the bits of `mask` of each word: the other key may be anything, and anything times zero is not zero. */
  LOQUENT_MEMBER Vector keep(Vector x, uint32_t mask) { return x & splatWords(mask); }
};

/** Bytes become pairs of 16 bits: sums are exact, and the same on every instruction set. */
template <>
struct Product<KvFormat::int8> {
  static constexpr int numbers = 2, bytes = 2;
  using Vector = Words;
  using Sum = Words;
  LOQUENT_MEMBER Vector load(const uint8_t* p) {
    Words w;
#if defined(__AVX512BW__)
    w.v[0] = (VI)_mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
#elif defined(__AVX2__)
    for (int i = 0; i < parts; i++) {
      w.v[i] = (VI)_mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 16 * i)));
    }
#else
    for (int i = 0; i < parts; i++) {
      uint16_t h[lanes];
      memcpy(h, p + 2 * lanes * i, sizeof h);
      const VI x = {h[0], h[1], h[2], h[3]};
      w.v[i] = (((x << 24) >> 24) & 0xffff) | (((x << 16) >> 24) << 16);
    }
#endif
    return w;
  }
  LOQUENT_MEMBER Vector splat(uint32_t word) { return splatWords(word); }
  LOQUENT_MEMBER Sum zero() { return splatWords(0); }
  LOQUENT_MEMBER Sum add(Sum sum, Vector x, Vector y) {
    for (int i = 0; i < parts; i++) {
#if defined(__AVX512VNNI__)
      sum.v[i] = (VI)_mm512_dpwssd_epi32((__m512i)sum.v[i], (__m512i)x.v[i], (__m512i)y.v[i]);
#elif defined(__AVXVNNI__)
      sum.v[i] = (VI)_mm256_dpwssd_avx_epi32((__m256i)sum.v[i], (__m256i)x.v[i], (__m256i)y.v[i]);
#elif defined(__AVX2__)
      sum.v[i] = sum.v[i] + (VI)_mm256_madd_epi16((__m256i)x.v[i], (__m256i)y.v[i]);
#else
      sum.v[i] = sum.v[i] + ((x.v[i] << 16) >> 16) * ((y.v[i] << 16) >> 16) + (x.v[i] >> 16) * (y.v[i] >> 16);
#endif
    }
    return sum;
  }
  LOQUENT_MEMBER Vector keep(Vector x, uint32_t) { return x; }
};

#undef LOQUENT_MEMBER

/** Words of a key, or of a query. */
template <KvFormat K>
constexpr int32_t wordsOf(int32_t headDim) {
  return (headDim + Product<K>::numbers - 1) / Product<K>::numbers;
}

}  // namespace loquent::LOQUENT_ISA
