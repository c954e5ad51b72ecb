// One tile of 64 keys, for the rows that share its loads: scores, weights, weighted values. A row's sums depend on its own keys only:
// rows share loads, and a key that a row may not see has no weight in it and none of its value read, as nothing times zero is zero
// for sure.
#pragma once
#include "attention-weights.h"

namespace loquent::LOQUENT_ISA {

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
