// One tile of 64 keys, for the rows that share its loads: scores, weights, weighted values.
//
// Maxima are whole numbers of powers of two, so that what was summed before is scaled without rounding, and a weight that is
// rounded to bf16 is rounded the same whatever the maximum is. A row's sums depend on its own keys only: rows share loads, and
// a key that a row may not see has no weight in it and none of its value read, as nothing times zero is zero for sure.
#pragma once
#include <math.h>

#include "keys.h"

namespace loquent::LOQUENT_ISA {

/** Blocks of keys that one turn of the online softmax takes: enough sums at once to hide the latency of a product. */
constexpr int32_t tileBlocks = 4;
constexpr int32_t tileKeys = tileBlocks * keyTile;
/** Rows that share the loads of a tile, and vectors (of keys, of values) beside each: what the registers hold. */
constexpr int groupRows = lanes == 16 ? 6 : 3;
constexpr int groupVectors = lanes == 16 ? 4 : lanes == 8 ? 2 : 1;

/** Before any key. Finite: the difference of two infinities would be none. */
constexpr float lowestMaximum = -0x1p100f;

/** Greatest weight in 16 bits. */
constexpr float integerWeight = 32767.0f;

/** A query head of a token, and where its online softmax stands. `sums` are kept by lane and added at the end. */
struct Row {
  const uint32_t* q;
  float* values;
  /** What the splits before came to, values apart. */
  float* merged;
  int32_t position, head;
  /** What one of the query's numbers is worth, and what turns a score into powers of two. */
  float unit, factor;
  float maximum;
  alignas(64) float sums[keyTile];
};

struct Shape {
  int32_t headDim, width;
  float scale, softcap;
  int32_t window;
  /** Of each head, or null. */
  const float* slopes;
  /** `[buckets][heads]` and the bucket of each distance, or null. */
  const float* bias;
  const float* buckets;
  int32_t heads, biasRows, distances;
  /** Scores are products times a positive number, and no more. */
  bool plain;
};

/** Four blocks, the first at position `low`; blocks that no row sees are any others. */
struct Tile {
  int32_t low;
  Head heads[tileBlocks];
};

/** Keys of a tile. */
struct Range {
  int from, to;
};

LOQUENT_INLINE bool isWhole(Range r) { return r.from <= 0 && r.to >= tileKeys; }

/** Keys of the tile at `low` that a row sees; none: from its end to its begin. */
LOQUENT_INLINE Range rangeOf(int32_t position, int32_t window, int32_t low) {
  const int32_t first = window > 0 && position - window + 1 > 0 ? position - window + 1 : 0;
  const Range r = {first > low ? first - low : 0, least(position + 1 - low, tileKeys)};
  return r.from < r.to ? r : Range{tileKeys, 0};
}

/**
 * Asks for memory that comes next while a tile is computed, evenly, line after line in the order of the addresses: that is twice as
 * fast as several pages at once, or as many lines in a row. The processor does not look far beyond a page by itself.
 */
struct Fetch {
  const uint8_t* const* heads;
  int64_t headBytes;
  int32_t left;
  const uint8_t* at;
  const uint8_t* end;

  Fetch(const uint8_t* const* list, int32_t count, int64_t bytes) : heads(list), headBytes(bytes), left(count), at(nullptr), end(nullptr) { open(); }
  inline __attribute__((always_inline)) void open() {
    if (left > 0) {
      at = *heads++;
      end = at + headBytes;
      left--;
    } else {
      at = end = nullptr;
    }
  }
  template <int lines>
  inline __attribute__((always_inline)) void take() {
    if (at == nullptr) return;
    for (int l = 0; l < lines; l++) __builtin_prefetch(at + l * lineBytes);
    at += lines * lineBytes;
    if (at >= end) open();
  }
  void takeAll() {
    while (at != nullptr) take<4>();
  }
};

/** Lines to ask for with each vector of a tile that is multiplied: as many as it reads, and so a tile asks for the next. */
template <KvFormat K, int N>
constexpr int linesOf = K != KvFormat::int8 ? N : N > 1 ? N / 2 : 1;

/** Scores of N blocks of keys for R rows, in ascending order of dimensions. */
template <KvFormat K, int R, int N, bool fetch>
LOQUENT_INLINE void scoreBlocks(const Row* rows, const Tile& tile, int32_t steps, int block, Fetch& next, float (*scores)[tileKeys]) {
  using P = Product<K>;
  typename P::Sum sum[R][N];
  for (int r = 0; r < R; r++) {
    for (int n = 0; n < N; n++) sum[r][n] = P::zero();
  }
  const uint8_t* keys[N];
  for (int n = 0; n < N; n++) keys[n] = tile.heads[block + n].keys;
  for (int32_t s = 0; s < steps; s++) {
    typename P::Vector k[N];
    for (int n = 0; n < N; n++) k[n] = P::load(keys[n] + s * keyTile * P::bytes);
    for (int r = 0; r < R; r++) {
      const auto q = P::splat(rows[r].q[s]);
      for (int n = 0; n < N; n++) sum[r][n] = P::add(sum[r][n], k[n], q);
    }
    if constexpr (fetch) next.take<linesOf<K, N>>();
  }
  for (int r = 0; r < R; r++) {
    for (int n = 0; n < N; n++) memcpy(scores[r] + (block + n) * keyTile, &sum[r][n], 64);
  }
}

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

/** Adds the weighted values of words `[first, last)` of the tile, N vectors of dimensions from `column` on, to R rows. */
template <KvFormat K, int R, int N, bool fetch>
LOQUENT_INLINE void addColumns(Row* rows, const Tile& tile, int32_t width, int32_t column, int first, int last, uint32_t mask,
                               const float (*weights)[tileKeys], const float* shares, Fetch* next) {
  using P = Product<K>;
  constexpr int perBlock = keyTile / P::numbers;
  const int64_t stride = static_cast<int64_t>(width) * P::bytes;
  typename P::Sum sum[R][N];
  for (int r = 0; r < R; r++) {
    for (int n = 0; n < N; n++) {
      if constexpr (K == KvFormat::int8) {
        sum[r][n] = P::zero();
      } else {
        sum[r][n] = loadF(rows[r].values + column + 16 * n);
      }
    }
  }
  for (int b = first / perBlock; b * perBlock < last; b++) {
    const int begin = first > b * perBlock ? first - b * perBlock : 0, end = least(last - b * perBlock, perBlock);
    const uint8_t* line = tile.heads[b].values + begin * stride + column * P::bytes;
    for (int j = b * perBlock + begin; j < b * perBlock + end; j++, line += stride) {
      typename P::Vector v[N];
      for (int n = 0; n < N; n++) {
        v[n] = P::load(line + n * keyTile * P::bytes);
        if constexpr (R == 1) v[n] = P::keep(v[n], mask);
      }
      for (int r = 0; r < R; r++) {
        uint32_t word;
        memcpy(&word, weights[r] + j, 4);
        const auto w = P::splat(word);
        for (int n = 0; n < N; n++) sum[r][n] = P::add(sum[r][n], v[n], w);
      }
      if constexpr (fetch) next->take<linesOf<K, N>>();
    }
  }
  for (int r = 0; r < R; r++) {
    for (int n = 0; n < N; n++) {
      float* to = rows[r].values + column + 16 * n;
      if constexpr (K == KvFormat::int8) {
        storeF(to, fma(toFloats(sum[r][n]), splatF(shares[r]), loadF(to)));
      } else {
        storeF(to, sum[r][n]);
      }
    }
  }
}

template <KvFormat K, int R, bool fetch>
LOQUENT_INLINE void addWords(Row* rows, const Tile& tile, int32_t width, int first, int last, uint32_t mask,
                             const float (*weights)[tileKeys], const float* shares, Fetch* next) {
  int32_t column = 0;
  for (; column + 16 * groupVectors <= width; column += 16 * groupVectors) {
    addColumns<K, R, groupVectors, fetch>(rows, tile, width, column, first, last, mask, weights, shares, next);
  }
  for (; column < width; column += 16) {
    addColumns<K, R, 1, fetch>(rows, tile, width, column, first, last, mask, weights, shares, next);
  }
}

/** Adds the values of keys `[from, to)` to one row, half a word where it sees no more. */
template <KvFormat K>
void addKeys(Row& row, const Tile& tile, int32_t width, int from, int to, const float (*weights)[tileKeys]) {
  constexpr int numbers = Product<K>::numbers;
  for (int j = from / numbers; j * numbers < to; j++) {
    uint32_t mask = 0xffffffff;
    if (numbers == 2 && from > 2 * j) mask &= 0xffff0000;
    if (numbers == 2 && to < 2 * j + 2) mask &= 0x0000ffff;
    addWords<K, 1, false>(&row, tile, width, j, j + 1, mask, weights, nullptr, nullptr);
  }
}

/** Adds the weighted values to R rows: those that all of them see at once, before and after that row by row. */
template <KvFormat K, int R, bool fetch>
LOQUENT_INLINE void addValues(Row* rows, const Tile& tile, int32_t width, const Range* ranges, const float (*weights)[tileKeys],
                              const float* shares, Fetch* next) {
  constexpr int numbers = Product<K>::numbers;
  Range common = {0, tileKeys}, any = {tileKeys, 0};
  for (int r = 0; r < R; r++) {
    common = {ranges[r].from > common.from ? ranges[r].from : common.from, least(ranges[r].to, common.to)};
    any = {least(ranges[r].from, any.from), ranges[r].to > any.to ? ranges[r].to : any.to};
  }
  // Whatever bytes hold, no weight makes nothing of it.
  if constexpr (K == KvFormat::int8) common = {any.from / numbers, (any.to + numbers - 1) / numbers};
  if constexpr (K != KvFormat::int8) common = {(common.from + numbers - 1) / numbers, common.to / numbers};
  const bool some = common.from < common.to;
  if constexpr (K != KvFormat::int8) {
    for (int r = 0; r < R; r++) {
      const int to = some ? common.from * numbers : ranges[r].to;
      if (ranges[r].from < to) addKeys<K>(rows[r], tile, width, ranges[r].from, to, weights + r);
    }
  }
  if (some) addWords<K, R, fetch>(rows, tile, width, common.from, common.to, 0xffffffff, weights, shares, next);
  if constexpr (K != KvFormat::int8) {
    for (int r = 0; r < R && some; r++) {
      if (common.to * numbers < ranges[r].to) addKeys<K>(rows[r], tile, width, common.to * numbers, ranges[r].to, weights + r);
    }
  }
}

/** Adds the keys of a tile to R rows, each those that it sees. `fetch`: takes all of `next` meanwhile. */
template <KvFormat K, int R, bool fetch>
void addTile(Row* rows, const Tile& tile, const Shape& shape, const Units* wholeUnits, Fetch& given) {
  // A copy, so that it may stay in registers.
  Fetch next = given;
  alignas(64) float scores[R][tileKeys];
  Range ranges[R];
  float shares[R] = {};
  int from = tileKeys, to = 0;
  for (int r = 0; r < R; r++) {
    ranges[r] = rangeOf(rows[r].position, shape.window, tile.low);
    from = least(from, ranges[r].from);
    to = to > ranges[r].to ? to : ranges[r].to;
  }
  if (from >= to) return;
  const int32_t steps = wordsOf<K>(shape.headDim);
  const int first = from / keyTile, last = (to - 1) / keyTile;
  if (groupVectors == 4 && (last < 2 || first >= 2)) {
    scoreBlocks<K, R, 2, fetch>(rows, tile, steps, first / 2 * 2, next, scores);
  } else {
    for (int b = first / groupVectors * groupVectors; b <= last; b += groupVectors) {
      scoreBlocks<K, R, groupVectors, fetch>(rows, tile, steps, b, next, scores);
    }
  }
  [[maybe_unused]] Units own;
  for (int r = 0; r < R; r++) {
    if constexpr (K == KvFormat::int8) {
      if (ranges[r].from >= ranges[r].to) {
        memset(scores[r], 0, sizeof scores[r]);
        continue;
      }
      const bool whole = isWhole(ranges[r]);
      if (!whole) own = unitsOf(tile, ranges[r]);
      shares[r] = weigh<K>(rows[r], tile, shape, ranges[r], whole ? wholeUnits : &own, scores[r]);
    } else if (ranges[r].from < ranges[r].to) {
      weigh<K>(rows[r], tile, shape, ranges[r], nullptr, scores[r]);
    }
  }
  addValues<K, R, fetch>(rows, tile, shape.width, ranges, scores, shares, &next);
  if constexpr (fetch) next.takeAll();
}

}  // namespace loquent::LOQUENT_ISA
