// writeKv and attention over the paged cache. Twin: backends/reference.
//
// Keys are walked in tiles of 64 absolute positions (four blocks), ascending; lanes are keys for the scores and head dimensions for
// the values. What a row computes depends only on its own position and keys: rows share loads, never sums, and a key
// that a row may not see takes no part in it (a lane replaced before the maximum, a value never read), so that a
// decoded token and the same token in a chunk of a prompt have the same bits.
//
// Splitting one row's keys over threads would need split points at fixed positions and a fixed order of merging;
// `Row` (maximum, sums, accumulators) is the state that such a merge would take.
#include <math.h>

#include "call.h"

namespace loquent::LOQUENT_ISA {
namespace {

constexpr int32_t padded(int32_t headDim) { return (headDim + keyTile - 1) / keyTile * keyTile; }

struct Head {
  float* keys;
  float* values;
};

LOQUENT_INLINE Head headOf(const Cache& c, int64_t block, int32_t head) {
  const int64_t size = (c.headDim + padded(c.headDim)) * keyTile;
  float* keys = reinterpret_cast<float*>(c.base + block * c.blockBytes) + head * size;
  return {keys, keys + c.headDim * keyTile};
}

int32_t writeTasks(const Step& s, const void* record) { return rowTasks(s, as<op::WriteKv>(record).k); }

void runWrite(const Step& s, const void* record, int32_t task, uint8_t*) {
  const auto& o = as<op::WriteKv>(record);
  const Cache& cache = s.caches[o.layer];
  const int32_t* slots = ints(s, Field::slots);
  const Rows rows = taskRows(s, o.k, task);
  for (int32_t r = rows.begin; r < rows.end; r++) {
    const int32_t block = slots[r] / keyTile, within = slots[r] % keyTile;
    for (int32_t h = 0; h < cache.kvHeads; h++) {
      const Head head = headOf(cache, block, h);
      const float* k = rowOf(s, o.k, r) + h * cache.headDim;
      for (int32_t d = 0; d < cache.headDim; d++) head.keys[d * keyTile + within] = k[d];
      const float* v = rowOf(s, o.v, r) + h * cache.headDim;
      memcpy(head.values + within * padded(cache.headDim), v, static_cast<size_t>(cache.headDim) * 4);
    }
  }
}

/** Tokens of one sequence that a piece of work covers. */
constexpr int32_t tokenTile = 16;
/** Blocks of keys that one turn of the online softmax takes: enough sums at once to hide the latency of a product. */
constexpr int32_t tileBlocks = 4;
constexpr int32_t tileKeys = tileBlocks * keyTile;
/** Rows that share the loads of a tile, and vectors (of keys, of values) beside each: what the registers hold. */
constexpr int groupRows = lanes == 16 ? 6 : 3;
constexpr int groupVectors = lanes == 16 ? 4 : lanes == 8 ? 2 : 1;

/** A query head of a token, and where its online softmax stands. `sums` are kept by lane and added at the end. */
struct Row {
  const float* q;
  float* values;
  float maximum;
  float sums[keyTile];
};

struct Shape {
  int32_t headDim, width;
  float scale, softcap;
};

/** Scores of N blocks of keys for R rows. */
template <int R, int N>
LOQUENT_INLINE void scoreBlocks(const Row* rows, const Head* heads, int32_t headDim, int block, float (*scores)[tileKeys]) {
  F sum[R][N];
  for (int r = 0; r < R; r++) {
    for (int n = 0; n < N; n++) sum[r][n] = splatF(0.0f);
  }
  for (int32_t d = 0; d < headDim; d++) {
    F k[N];
    for (int n = 0; n < N; n++) k[n] = loadF(heads[block + n].keys + d * keyTile);
    for (int r = 0; r < R; r++) {
      const F q = splatF(rows[r].q[d]);
      for (int n = 0; n < N; n++) sum[r][n] = fma(q, k[n], sum[r][n]);
    }
  }
  for (int r = 0; r < R; r++) {
    for (int n = 0; n < N; n++) storeF(scores[r] + (block + n) * keyTile, sum[r][n]);
  }
}

/** Turns the scores of keys `[from, to)` into weights; returns what the row's earlier values are scaled by. */
LOQUENT_INLINE float weigh(Row& row, const Shape& shape, float* scores, int from, int to) {
  const int first = from / keyTile, last = (to - 1) / keyTile;
  F most = splatF(-INFINITY);
  for (int b = first; b <= last; b++) {
    F x = loadF(scores + b * keyTile) * splatF(shape.scale);
    if (shape.softcap > 0) x = splatF(shape.softcap) * hyperbolicTangent(x / splatF(shape.softcap));
    const bool whole = from <= b * keyTile && to >= (b + 1) * keyTile;
    if (!whole) x = inRange(from - b * keyTile, to - b * keyTile, x, splatF(-INFINITY));
    storeF(scores + b * keyTile, x);
    most = larger(x, most);
  }
  const float tile = largestOf(most), maximum = tile > row.maximum ? tile : row.maximum;
  const float decay = exponentialOf(row.maximum - maximum);
  F sums = loadF(row.sums) * splatF(decay);
  for (int b = first; b <= last; b++) {
    F p = exponential(loadF(scores + b * keyTile) - splatF(maximum));
    const bool whole = from <= b * keyTile && to >= (b + 1) * keyTile;
    if (!whole) p = inRange(from - b * keyTile, to - b * keyTile, p, splatF(0.0f));
    storeF(scores + b * keyTile, p);
    sums = sums + p;
  }
  storeF(row.sums, sums);
  row.maximum = maximum;
  return decay;
}

/** Adds the weighted values of keys `[from, to)`, N vectors of dimensions from `column` on, to R rows. */
template <int R, int N>
LOQUENT_INLINE void addValues(Row* rows, const Head* heads, int32_t width, int32_t column, const float* decay,
                              const float (*weights)[tileKeys], int from, int to) {
  F sum[R][N];
  for (int r = 0; r < R; r++) {
    for (int n = 0; n < N; n++) sum[r][n] = loadF(rows[r].values + column + 16 * n) * splatF(decay[r]);
  }
  for (int b = from / keyTile; b * keyTile < to; b++) {
    const int begin = from > b * keyTile ? from : b * keyTile, end = least(to, (b + 1) * keyTile);
    const float* line = heads[b].values + (begin - b * keyTile) * width + column;
    for (int j = begin; j < end; j++, line += width) {
      F v[N];
      for (int n = 0; n < N; n++) v[n] = loadF(line + 16 * n);
      for (int r = 0; r < R; r++) {
        const F w = splatF(weights[r][j]);
        for (int n = 0; n < N; n++) sum[r][n] = fma(w, v[n], sum[r][n]);
      }
    }
  }
  for (int r = 0; r < R; r++) {
    for (int n = 0; n < N; n++) storeF(rows[r].values + column + 16 * n, sum[r][n]);
  }
}

/** Adds keys `[from, to)` of a tile to R rows. */
template <int R>
void addTile(Row* rows, const Head* heads, const Shape& shape, int from, int to) {
  alignas(64) float scores[R][tileKeys];
  float decay[R];
  const int last = (to - 1) / keyTile;
  int block = from / keyTile;
  for (; block + groupVectors - 1 <= last; block += groupVectors) {
    scoreBlocks<R, groupVectors>(rows, heads, shape.headDim, block, scores);
  }
  for (; block <= last; block++) scoreBlocks<R, 1>(rows, heads, shape.headDim, block, scores);
  for (int r = 0; r < R; r++) decay[r] = weigh(rows[r], shape, scores[r], from, to);
  int32_t column = 0;
  for (; column + 16 * groupVectors <= shape.width; column += 16 * groupVectors) {
    addValues<R, groupVectors>(rows, heads, shape.width, column, decay, scores, from, to);
  }
  for (; column < shape.width; column += 16) addValues<R, 1>(rows, heads, shape.width, column, decay, scores, from, to);
}

void addTiles(Row* rows, int32_t count, const Head* heads, const Shape& shape, int from, int to) {
  constexpr void (*byRows[])(Row*, const Head*, const Shape&, int, int) = {
      addTile<1>, addTile<2>, addTile<3>, addTile<groupRows - 2>, addTile<groupRows - 1>, addTile<groupRows>,
  };
  for (int32_t r = 0; r < count; r += groupRows) {
    const int32_t some = least(groupRows, count - r);
    byRows[some - 1](rows + r, heads, shape, from, to);
  }
}

struct Piece {
  int32_t sequence, begin, end;
};

/** The tile-th stretch of tokens of the step, counted over its sequences. */
Piece pieceOf(const Step& s, int32_t tile) {
  const int32_t* starts = ints(s, Field::queryStarts);
  for (int32_t q = 0; q < s.sequences; q++) {
    const int32_t tiles = ceilDiv(starts[q + 1] - starts[q], tokenTile);
    if (tile < tiles) return {q, starts[q] + tile * tokenTile, least(starts[q] + (tile + 1) * tokenTile, starts[q + 1])};
    tile -= tiles;
  }
  return {0, 0, 0};
}

int32_t attentionTasks(const Step& s, const void* record) {
  const int32_t* starts = ints(s, Field::queryStarts);
  int32_t tiles = 0;
  for (int32_t q = 0; q < s.sequences; q++) tiles += ceilDiv(starts[q + 1] - starts[q], tokenTile);
  return tiles * as<op::Attention>(record).kvHeads;
}

struct Span {
  int32_t first, last;
};

LOQUENT_INLINE Span visible(const op::Attention& o, int32_t position) {
  const int32_t first = o.window > 0 && position - o.window + 1 > 0 ? position - o.window + 1 : 0;
  return {first, position};
}

void runAttention(const Step& s, const void* record, int32_t task, uint8_t* scratch) {
  const auto& o = as<op::Attention>(record);
  const Cache& cache = s.caches[o.layer];
  const int32_t group = o.heads / o.kvHeads, kvHead = task % o.kvHeads;
  const Piece piece = pieceOf(s, task / o.kvHeads);
  const int32_t* positions = ints(s, Field::positions);
  const int32_t* blocks = ints(s, Field::blockTables) + static_cast<int64_t>(piece.sequence) * ceilDiv(s.limits->context, s.limits->blockSize);
  const Shape shape = {o.headDim, padded(o.headDim), o.scale, o.softcap};
  const int32_t tokens = piece.end - piece.begin, count = tokens * group;

  float* values = reinterpret_cast<float*>(scratch);
  Row* rows = reinterpret_cast<Row*>(values + static_cast<int64_t>(tokenTile) * group * shape.width);
  memset(values, 0, static_cast<size_t>(count) * static_cast<size_t>(shape.width) * 4);
  for (int32_t r = 0; r < count; r++) {
    const float* q = rowOf(s, o.q, piece.begin + r / group) + (kvHead * group + r % group) * o.headDim;
    rows[r] = {q, values + static_cast<int64_t>(r) * shape.width, -INFINITY, {}};
  }

  int32_t first = positions[piece.begin], last = first;
  for (int32_t t = piece.begin; t < piece.end; t++) {
    const Span span = visible(o, positions[t]);
    first = least(first, span.first);
    last = span.last > last ? span.last : last;
  }
  for (int32_t tile = first / tileKeys; tile <= last / tileKeys; tile++) {
    const int32_t low = tile * tileKeys, high = low + tileKeys;
    Head heads[tileBlocks];
    bool whole = true;
    for (int32_t b = 0; b < tileBlocks; b++) {
      // Blocks that no row of the piece sees may have no entry in the table.
      const int32_t key = low + b * keyTile;
      if (key <= last && key + keyTile > first) heads[b] = headOf(cache, blocks[key / keyTile], kvHead);
    }
    for (int32_t t = piece.begin; t < piece.end; t++) {
      const Span span = visible(o, positions[t]);
      whole = whole && span.first <= low && span.last >= high - 1;
    }
    if (whole) {
      addTiles(rows, count, heads, shape, 0, tileKeys);
      continue;
    }
    for (int32_t t = 0; t < tokens; t++) {
      const Span span = visible(o, positions[piece.begin + t]);
      const int32_t from = span.first > low ? span.first - low : 0, to = least(span.last + 1 - low, tileKeys);
      if (from < to) addTiles(rows + t * group, group, heads, shape, from, to);
    }
  }
  for (int32_t r = 0; r < count; r++) {
    const F total = splatF(sumOf(loadF(rows[r].sums)));
    float* out = rowOf(s, o.out, piece.begin + r / group) + (kvHead * group + r % group) * o.headDim;
    for (int32_t c = 0; c < o.headDim; c += 16) {
      storeSome(out + c, loadF(rows[r].values + c) / total, least(16, o.headDim - c));
    }
  }
}

size_t attentionScratch(const Limits&, const void* record) {
  const auto& o = as<op::Attention>(record);
  const size_t rows = static_cast<size_t>(tokenTile) * static_cast<size_t>(o.heads / o.kvHeads);
  return rows * (static_cast<size_t>(padded(o.headDim)) * 4 + sizeof(Row));
}

}  // namespace

extern const Kernel writeKv = {writeTasks, runWrite, noScratch};
extern const Kernel attention = {attentionTasks, runAttention, attentionScratch};

}  // namespace loquent::LOQUENT_ISA
