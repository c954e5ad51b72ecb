// From scores to weights: what is added to a score, the online softmax, and weights as words of a format.
//
// Maxima are whole numbers of powers of two, so that what was summed before is scaled without rounding, and a weight that is
// rounded to bf16 is rounded the same whatever the maximum is.
#pragma once
#include "attention-row.h"

namespace loquent::LOQUENT_ISA {

/** Greatest weight in 16 bits. */
constexpr float integerWeight = 32767.0f;

/** What is added to the scores of 16 keys, the first at position `key`. */
LOQUENT_INLINE F biasOf(const Row& row, const Shape& shape, int32_t key) {
  float t[16];
  for (int i = 0; i < 16; i++) {
    // Keys after the row's own are replaced later; they only must not be read by.
    const int32_t distance = row.position > key + i ? row.position - key - i : 0;
    t[i] = 0;
    if (shape.bias) {
      const int32_t bucket = static_cast<int32_t>(shape.buckets[least(distance, shape.distances - 1)]);
      t[i] = shape.bias[static_cast<int64_t>(least(bucket > 0 ? bucket : 0, shape.biasRows - 1)) * shape.heads + row.head];
    }
    if (shape.slopes) t[i] = t[i] - shape.slopes[row.head] * static_cast<float>(distance);
  }
  return loadF(t);
}

/** Scores of 16 keys that are more than a scaled product. */
inline __attribute__((noinline)) void adjust(const Row& row, const Shape& shape, int32_t key, float* scores) {
  F x = loadF(scores) * splatF(shape.scale * row.unit);
  if (shape.softcap > 0) x = splatF(shape.softcap) * hyperbolicTangent(x / splatF(shape.softcap));
  if (shape.slopes || shape.bias) x = x + biasOf(row, shape, key);
  storeF(scores, x);
}

/** Sixteen scores as floats. */
template <KvFormat K>
LOQUENT_INLINE F scoresOf(const Head& head, const float* scores) {
  if constexpr (K != KvFormat::int8) return loadF(scores);
  return toFloats(loadWords(reinterpret_cast<const uint8_t*>(scores))) * loadF(head.keyScales);
}

/** The 16-bit weights of a tile of bytes: factors of the keys, and what one unit of a sum is worth. */
struct Units {
  alignas(64) float ofKeys[tileKeys];
  float share;
};

/** The scales of the values that `range` sees over the greatest of them; not a number where one is not. */
LOQUENT_INLINE Units unitsOf(const Tile& tile, Range range) {
  Units u;
  int32_t greatest = 0;
  for (int i = range.from; i < range.to; i++) {
    int32_t bits;
    memcpy(&bits, tile.heads[i / keyTile].valueScales + i % keyTile, 4);
    greatest = bits > greatest ? bits : greatest;
  }
  float most;
  memcpy(&most, &greatest, 4);
  // A scale below the normal floats has no inverse.
  const float inverse = most < 0x1p-126f ? 0.0f : integerWeight / most;
  for (int b = 0; b < tileBlocks; b++) {
    const F unit = loadF(tile.heads[b].valueScales) * splatF(inverse);
    storeF(u.ofKeys + b * keyTile, inRange(range.from - b * keyTile, range.to - b * keyTile, unit, splatF(0.0f)));
  }
  u.share = most / integerWeight;
  return u;
}

/** Rounds 64 weights to what the values are multiplied with, adds them to the sums, and stores them as words. */
template <KvFormat K>
LOQUENT_INLINE void storeWeights(const F (&p)[tileBlocks], const Units* units, float share, float* sums, float* words) {
  F total = loadF(sums);
  if constexpr (K == KvFormat::f32) {
    for (int b = 0; b < tileBlocks; b++) {
      total = total + p[b];
      storeF(words + b * keyTile, p[b]);
    }
  }
#if defined(__AVX512BF16__)
  if constexpr (K == KvFormat::bf16) {
    const auto ones = splatWords(0x3f803f80);
    for (int b = 0; b < tileBlocks; b += 2) {
      const __m512bh pair = _mm512_cvtne2ps_pbh(p[b + 1].v[0], p[b].v[0]);
      total.v[0] = _mm512_dpbf16_ps(total.v[0], pair, (__m512bh)ones.v[0]);
      memcpy(words + b * keyTile / 2, &pair, 64);
    }
  }
  if constexpr (K == KvFormat::int8) {
    for (int b = 0; b < tileBlocks; b++) {
      total = fma(p[b], splatF(share), total);
      const __m512i w = _mm512_cvtps_epi32(p[b].v[0] * loadF(units->ofKeys + b * keyTile).v[0]);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(words + b * keyTile / 2), _mm512_cvtepi32_epi16(w));
    }
  }
#else
  if constexpr (K != KvFormat::f32) {
    uint32_t t[tileKeys];
    for (int b = 0; b < tileBlocks; b++) {
      F x = p[b];
      for (int i = 0; i < parts; i++) {
        VI w;
        if constexpr (K == KvFormat::bf16) {
          // Nearest, ties to even; a weight that is not a number keeps a bit of it.
          w = bits(x.v[i]);
          w = (w + 0x7fff + ((w >> 16) & 1)) & static_cast<int32_t>(0xffff0000);
          const VI known = (VI)(x.v[i] == x.v[i]);
          x.v[i] = select(known, unbits(w), x.v[i]);
          w = bits(x.v[i]) >> 16;
        } else {
          w = bits(x.v[i] * load(units->ofKeys + b * keyTile + i * lanes) + splat(12582912.0f));
        }
        memcpy(t + b * keyTile + i * lanes, &w, sizeof w);
      }
      total = fma(x, splatF(share), total);
    }
    auto* out = reinterpret_cast<uint32_t*>(words);
    for (int j = 0; j < tileKeys / 2; j++) out[j] = (t[2 * j] & 0xffff) | t[2 * j + 1] << 16;
  }
#endif
  (void)units;
  (void)share;
  storeF(sums, total);
}

/** A row's maximum grows to `maximum`: what it has is scaled. Before its first key it has nothing, whatever is in memory. */
LOQUENT_INLINE void raise(Row& row, const Shape& shape, float maximum) {
  if (row.maximum == lowestMaximum) {
    memset(row.values, 0, static_cast<size_t>(shape.width) * 4);
  } else {
    const F decay = splatF(powerOfTwo(row.maximum - maximum));
    storeF(row.sums, loadF(row.sums) * decay);
    for (int32_t c = 0; c < shape.width; c += 16) storeF(row.values + c, loadF(row.values + c) * decay);
  }
  row.maximum = maximum;
}

/**
 * Turns the scores of the keys of `range` into weights; all others have none. Weights of bytes are relative to the greatest of the
 * tile, whatever came before, so that 16 bits are enough. Returns what a sum of weighted values is worth.
 */
template <KvFormat K>
LOQUENT_INLINE float weigh(Row& row, const Tile& tile, const Shape& shape, Range range, const Units* units, float* scores) {
  const bool whole = isWhole(range);
  F x[tileBlocks];
  F most = splatF(-INFINITY);
  for (int b = 0; b < tileBlocks; b++) {
    x[b] = scoresOf<K>(tile.heads[b], scores + b * keyTile);
    if (!shape.plain) {
      storeF(scores + b * keyTile, x[b]);
      adjust(row, shape, tile.low + b * keyTile, scores + b * keyTile);
      x[b] = loadF(scores + b * keyTile);
    }
    if (!whole) x[b] = inRange(range.from - b * keyTile, range.to - b * keyTile, x[b], splatF(-INFINITY));
    most = larger(x[b], most);
  }
  const float top = ceilf(largestOf(most) * row.factor), maximum = top > row.maximum ? top : row.maximum;
  if (maximum != row.maximum) raise(row, shape, maximum);
  const float level = K == KvFormat::int8 ? top : maximum;
  for (int b = 0; b < tileBlocks; b++) {
    x[b] = exponential2<K == KvFormat::bf16 ? 4 : 5>(fma(x[b], splatF(row.factor), splatF(-level)));
    if (!whole) x[b] = inRange(range.from - b * keyTile, range.to - b * keyTile, x[b], splatF(0.0f));
  }
  const float share = K == KvFormat::int8 ? powerOfTwo(top - maximum) : 1.0f;
  storeWeights<K>(x, units, share, row.sums, scores);
  return K == KvFormat::int8 ? units->share * share : 1.0f;
}

}  // namespace loquent::LOQUENT_ISA
