// Attention over the paged cache. Twin: backends/reference.
//
// Keys are walked in tiles of 64 absolute positions (four blocks), ascending; lanes are keys for the scores and head
// dimensions for the values. Every 256 positions a row begins anew, and what it has (maximum, total, weighted values) is
// merged with what it had, in that order. So these stretches may be computed by one thread after another or by many at a
// time: the sums are the same. What a row computes depends only on its own position and keys: rows share loads, never
// sums, and a key that a row may not see takes no part in it (a lane replaced before the maximum, a value never read), so
// that a decoded token and the same token in a chunk of a prompt have the same bits.
#include <math.h>

#include <atomic>

#include "keys.h"

namespace loquent::LOQUENT_ISA {
namespace {

/** Tokens of one sequence that a piece of work covers. */
constexpr int32_t tokenTile = 16;
/** Blocks of keys that one turn of the online softmax takes: enough sums at once to hide the latency of a product. */
constexpr int32_t tileBlocks = 4;
constexpr int32_t tileKeys = tileBlocks * keyTile;
/** Keys after which a row begins anew. Part of the result: another number gives other last bits. */
constexpr int32_t splitKeys = 256;
/** Rows that share the loads of a tile, and vectors (of keys, of values) beside each: what the registers hold. */
constexpr int groupRows = lanes == 16 ? 6 : 3;
constexpr int groupVectors = lanes == 16 ? 4 : lanes == 8 ? 2 : 1;

/** Stretches that are kept apart for other threads to merge: memory that does not grow with the step. */
constexpr int32_t mostPartials = 8192;
/** A prompt's stretches are handed out only when there are fewer pieces of work than this a thread. */
constexpr int32_t piecesPerThread = 32;
/** Multiplications of a step that one thread does sooner than it gets help. */
constexpr int64_t aloneWork = 1 << 18;

/** A query head of a token, and where its online softmax stands. `sums` are kept by lane and added at the end. */
struct Row {
  const float* q;
  float* values;
  int32_t position, head;
  float maximum;
  float sums[keyTile];
};

/** What a stretch of keys gave a row; `values` follow it in memory. */
struct Partial {
  float maximum, total;
};

struct Shape {
  int32_t headDim, width;
  float scale, softcap;
  /** Of each head, or null. */
  const float* slopes;
  /** `[buckets][heads]` and the bucket of each distance, or null. */
  const float* bias;
  const float* buckets;
  int32_t heads, biasRows, distances;
};

/** Scores of N blocks of keys for R rows, in ascending order of dimensions. */
template <KvFormat K, int R, int N>
LOQUENT_INLINE void scoreBlocks(const Row* rows, const Head* heads, int32_t headDim, int block, float (*scores)[tileKeys]) {
  F sum[R][N];
  for (int r = 0; r < R; r++) {
    for (int n = 0; n < N; n++) sum[r][n] = splatF(0.0f);
  }
  const auto add = [&](int32_t d) __attribute__((always_inline)) {
    F k[N];
    for (int n = 0; n < N; n++) k[n] = Reader<K>::key(heads[block + n].keys, d);
    for (int r = 0; r < R; r++) {
      const F q = splatF(rows[r].q[d]);
      for (int n = 0; n < N; n++) sum[r][n] = fma(q, k[n], sum[r][n]);
    }
  };
  int32_t d = 0;
  // Two at a time, as they share words in one of the formats.
  for (; d + 2 <= headDim; d += 2) {
    add(d);
    add(d + 1);
  }
  if (d < headDim) add(d);
  for (int r = 0; r < R; r++) {
    for (int n = 0; n < N; n++) {
      F x = sum[r][n];
      if constexpr (K == KvFormat::int8) x = x * loadF(heads[block + n].keyScales);
      storeF(scores[r] + (block + n) * keyTile, x);
    }
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

/** Turns the scores of keys `[from, to)` of the tile at `low` into weights; returns what the row's earlier values are scaled by. */
template <KvFormat K>
LOQUENT_INLINE float weigh(Row& row, const Head* heads, const Shape& shape, float* scores, int32_t low, int from, int to) {
  const int first = from / keyTile, last = (to - 1) / keyTile;
  F most = splatF(-INFINITY);
  for (int b = first; b <= last; b++) {
    F x = loadF(scores + b * keyTile) * splatF(shape.scale);
    if (shape.softcap > 0) x = splatF(shape.softcap) * hyperbolicTangent(x / splatF(shape.softcap));
    if (shape.slopes || shape.bias) x = x + biasOf(row, shape, low + b * keyTile);
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
    sums = sums + p;
    if constexpr (K == KvFormat::int8) p = p * loadF(heads[b].valueScales);
    storeF(scores + b * keyTile, p);
  }
  storeF(row.sums, sums);
  row.maximum = maximum;
  return decay;
}

/** Adds the weighted values of keys `[from, to)`, N vectors of dimensions from `column` on, to R rows. */
template <KvFormat K, int R, int N>
LOQUENT_INLINE void addValues(Row* rows, const Head* heads, const Shape& shape, int32_t column, const float* decay,
                              const float (*weights)[tileKeys], int from, int to) {
  const int64_t rowBytes = Reader<K>::valueBytes(shape.headDim);
  F sum[R][N];
  for (int r = 0; r < R; r++) {
    for (int n = 0; n < N; n++) sum[r][n] = loadF(rows[r].values + column + 16 * n) * splatF(decay[r]);
  }
  for (int b = from / keyTile; b * keyTile < to; b++) {
    const int begin = from > b * keyTile ? from : b * keyTile, end = least(to, (b + 1) * keyTile);
    const uint8_t* line = heads[b].values + (begin - b * keyTile) * rowBytes;
    for (int j = begin; j < end; j++, line += rowBytes) {
      F v[N];
      for (int n = 0; n < N; n++) v[n] = Reader<K>::template value<N == 1>(line, column, n);
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

/** Adds keys `[from, to)` of the tile at `low` to R rows. */
template <KvFormat K, int R>
void addTile(Row* rows, const Head* heads, const Shape& shape, int32_t low, int from, int to) {
  alignas(64) float scores[R][tileKeys];
  float decay[R];
  const int last = (to - 1) / keyTile;
  int block = from / keyTile;
  for (; block + groupVectors - 1 <= last; block += groupVectors) {
    scoreBlocks<K, R, groupVectors>(rows, heads, shape.headDim, block, scores);
  }
  for (; block <= last; block++) scoreBlocks<K, R, 1>(rows, heads, shape.headDim, block, scores);
  for (int r = 0; r < R; r++) decay[r] = weigh<K>(rows[r], heads, shape, scores[r], low, from, to);
  int32_t column = 0;
  for (; column + 16 * groupVectors <= shape.width; column += 16 * groupVectors) {
    addValues<K, R, groupVectors>(rows, heads, shape, column, decay, scores, from, to);
  }
  for (; column < shape.width; column += 16) addValues<K, R, 1>(rows, heads, shape, column, decay, scores, from, to);
}

using AddTile = void (*)(Row*, const Head*, const Shape&, int32_t, int, int);

template <KvFormat K>
void addTiles(Row* rows, int32_t count, const Head* heads, const Shape& shape, int32_t low, int from, int to) {
  constexpr AddTile byRows[] = {
      addTile<K, 1>, addTile<K, 2>, addTile<K, 3>, addTile<K, groupRows - 2>, addTile<K, groupRows - 1>, addTile<K, groupRows>,
  };
  for (int32_t r = 0; r < count; r += groupRows) {
    const int32_t some = least(groupRows, count - r);
    byRows[some - 1](rows + r, heads, shape, low, from, to);
  }
}

struct Span {
  int32_t first, last;
};

LOQUENT_INLINE Span visible(const op::Attention& o, int32_t position) {
  const int32_t first = o.window > 0 && position - o.window + 1 > 0 ? position - o.window + 1 : 0;
  return {first, position};
}

/** A stretch of tokens of a sequence. With `partial >= 0` its keys are handed out split by split, and this is one split. */
struct Unit {
  int32_t sequence, begin, end;
  int32_t firstSplit, lastSplit, split;
  /** Place of the unit's first partial, and of the count of its splits that are done. */
  int32_t partial, counter;
};

/** The shared memory of an attention: what the pieces of work are, counts of splits done, partials. */
struct Work {
  int32_t units, together;
  Unit* unit;
  std::atomic<int32_t>* done;
  uint8_t* partials;
};

struct Capacity {
  size_t units, counters, partialBytes;
};

Capacity capacityOf(const Limits& l, const op::Attention& o) {
  // Every stretch is a unit of its own, or as many as it has splits, each of which takes a partial at least.
  const size_t tiles = static_cast<size_t>(l.sequences) + static_cast<size_t>(ceilDiv(l.tokens, tokenTile));
  return {tiles + mostPartials, mostPartials, sizeof(Partial) + static_cast<size_t>(padded(o.headDim)) * 4};
}

size_t attentionShared(const Limits& l, const void* record) {
  const Capacity c = capacityOf(l, as<op::Attention>(record));
  return 64 + c.units * sizeof(Unit) + c.counters * 4 + 64 + mostPartials * c.partialBytes;
}

Work workIn(const Step& s, const op::Attention& o) {
  const Capacity c = capacityOf(*s.limits, o);
  int32_t* header = reinterpret_cast<int32_t*>(s.shared);
  Unit* unit = reinterpret_cast<Unit*>(s.shared + 64);
  auto* done = reinterpret_cast<std::atomic<int32_t>*>(unit + c.units);
  return {header[0], header[1], unit, done, reinterpret_cast<uint8_t*>(done + c.counters)};
}

/** Lists the pieces of work; see `piecesPerThread` and `mostPartials` for what is split. */
int32_t attentionTasks(const Step& s, const void* record) {
  const auto& o = as<op::Attention>(record);
  const Work work = workIn(s, o);
  const int32_t* starts = ints(s, Field::queryStarts);
  const int32_t* positions = ints(s, Field::positions);
  int32_t tiles = 0, units = 0, partials = 0, counters = 0;
  int64_t products = 0;
  for (int32_t q = 0; q < s.sequences; q++) tiles += ceilDiv(starts[q + 1] - starts[q], tokenTile);
  const bool scarce = tiles * o.kvHeads < piecesPerThread * s.threads;
  for (int32_t q = 0; q < s.sequences; q++) {
    for (int32_t begin = starts[q]; begin < starts[q + 1]; begin += tokenTile) {
      const int32_t end = least(begin + tokenTile, starts[q + 1]);
      Span keys = visible(o, positions[begin]);
      for (int32_t t = begin + 1; t < end; t++) {
        const Span more = visible(o, positions[t]);
        keys = {least(keys.first, more.first), more.last > keys.last ? more.last : keys.last};
      }
      const int32_t firstSplit = keys.first / splitKeys, lastSplit = keys.last / splitKeys, splits = lastSplit - firstSplit + 1;
      const int64_t needed = static_cast<int64_t>(splits) * (end - begin) * o.heads;
      const bool split = splits > 1 && s.threads > 1 && (scarce || end - begin == 1) && partials + needed <= mostPartials;
      products += static_cast<int64_t>(keys.last - keys.first + 1) * (end - begin) * o.q.width;
      const Unit unit = {q, begin, end, firstSplit, lastSplit, 0, -1, -1};
      if (!split) {
        work.unit[units++] = unit;
        continue;
      }
      for (int32_t split = firstSplit; split <= lastSplit; split++) {
        work.unit[units] = unit;
        work.unit[units].split = split;
        work.unit[units].partial = partials;
        work.unit[units++].counter = counters;
      }
      for (int32_t h = 0; h < o.kvHeads; h++) work.done[counters++].store(0, std::memory_order_relaxed);
      partials += static_cast<int32_t>(needed);
    }
  }
  const bool alone = products < aloneWork;
  int32_t* header = reinterpret_cast<int32_t*>(s.shared);
  header[0] = units;
  header[1] = alone ? units * o.kvHeads : 1;
  return alone ? least(units, 1) : units * o.kvHeads;
}

/** What a piece of work needs at hand. */
struct Piece {
  const Step& step;
  const op::Attention& o;
  const Cache& cache;
  const Unit& unit;
  int32_t kvHead, group, count;
  Shape shape;
  Row* rows;
  const int32_t* positions;
  const int32_t* blocks;
};

void beginRows(const Piece& p, float* values) {
  memset(values, 0, static_cast<size_t>(p.count) * static_cast<size_t>(p.shape.width) * 4);
  for (int32_t r = 0; r < p.count; r++) {
    const int32_t token = p.unit.begin + r / p.group, head = p.kvHead * p.group + r % p.group;
    const float* q = rowOf(p.step, p.o.q, token) + head * p.o.headDim;
    p.rows[r] = {q, values + static_cast<int64_t>(r) * p.shape.width, p.positions[token], head, -INFINITY, {}};
  }
}

/** Asks for the memory of a tile while the one before it is computed: the processor does not look beyond a page by itself. */
LOQUENT_INLINE void prefetch(const Head& head, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += lineBytes) __builtin_prefetch(head.keys + i);
}

/** Adds the keys of one split to all rows of a piece. */
template <KvFormat K>
void addSplit(const Piece& p, int32_t split) {
  const int64_t headBytes = headLayout(K, p.o.headDim).bytes;
  int32_t first = split * splitKeys + splitKeys, last = -1;
  for (int32_t t = p.unit.begin; t < p.unit.end; t++) {
    const Span span = visible(p.o, p.positions[t]);
    first = least(first, span.first);
    last = span.last > last ? span.last : last;
  }
  first = first > split * splitKeys ? first : split * splitKeys;
  last = least(last, split * splitKeys + splitKeys - 1);
  const auto headAt = [&](int32_t key) { return headOf(p.cache, p.blocks[key / keyTile], p.kvHead); };
  for (int32_t low = first / tileKeys * tileKeys; low <= last; low += tileKeys) {
    Head heads[tileBlocks];
    for (int32_t b = 0; b < tileBlocks; b++) {
      // Blocks that no row of the piece sees may have no entry in the table.
      const int32_t key = low + b * keyTile, ahead = key + tileKeys;
      if (key <= last && key + keyTile > first) heads[b] = headAt(key);
      if (ahead <= last) prefetch(headAt(ahead), headBytes);
    }
    bool whole = true;
    for (int32_t t = p.unit.begin; t < p.unit.end; t++) {
      const Span span = visible(p.o, p.positions[t]);
      whole = whole && span.first <= low && span.last >= low + tileKeys - 1;
    }
    if (whole) {
      addTiles<K>(p.rows, p.count, heads, p.shape, low, 0, tileKeys);
      continue;
    }
    for (int32_t t = 0; t < p.unit.end - p.unit.begin; t++) {
      const Span span = visible(p.o, p.positions[p.unit.begin + t]);
      const int32_t from = span.first > low ? span.first - low : 0, to = least(span.last + 1 - low, tileKeys);
      if (from < to) addTiles<K>(p.rows + t * p.group, p.group, heads, p.shape, low, from, to);
    }
  }
}

/** Adds what a later split gave to what the ones before gave. */
LOQUENT_INLINE void merge(Partial& into, float* values, const Partial& more, const float* moreValues, int32_t width) {
  const float maximum = more.maximum > into.maximum ? more.maximum : into.maximum;
  // Not a number where either is: a row that is not finite stays so.
  const float before = exponentialOf(into.maximum - maximum), here = exponentialOf(more.maximum - maximum);
  into = {maximum, into.total * before + more.total * here};
  const F x = splatF(before), y = splatF(here);
  for (int32_t c = 0; c < width; c += 16) storeF(values + c, loadF(values + c) * x + loadF(moreValues + c) * y);
}

LOQUENT_INLINE void finish(const Piece& p, int32_t r, float total, const float* values) {
  float* out = rowOf(p.step, p.o.out, p.unit.begin + r / p.group) + (p.kvHead * p.group + r % p.group) * p.o.headDim;
  for (int32_t c = 0; c < p.o.headDim; c += 16) storeSome(out + c, loadF(values + c) / splatF(total), least(16, p.o.headDim - c));
}

LOQUENT_INLINE bool sees(const Piece& p, int32_t r, int32_t split) {
  const Span span = visible(p.o, p.rows[r].position);
  return span.first / splitKeys <= split && split <= span.last / splitKeys;
}

Partial partialOf(const Row& row) { return {row.maximum, sumOf(loadF(row.sums))}; }

/** All splits of a piece, one after another. */
template <KvFormat K>
void runWhole(const Piece& p, float* values, float* merged, Partial* partials) {
  const int32_t width = p.shape.width;
  for (int32_t split = p.unit.firstSplit; split <= p.unit.lastSplit; split++) {
    beginRows(p, values);
    addSplit<K>(p, split);
    const bool only = p.unit.firstSplit == p.unit.lastSplit;
    for (int32_t r = 0; r < p.count && !only; r++) {
      if (!sees(p, r, split)) continue;
      float* into = merged + static_cast<int64_t>(r) * width;
      if (split > p.unit.firstSplit && sees(p, r, split - 1)) {
        merge(partials[r], into, partialOf(p.rows[r]), p.rows[r].values, width);
      } else {
        partials[r] = partialOf(p.rows[r]);
        memcpy(into, p.rows[r].values, static_cast<size_t>(width) * 4);
      }
    }
    if (only) {
      for (int32_t r = 0; r < p.count; r++) finish(p, r, sumOf(loadF(p.rows[r].sums)), p.rows[r].values);
      return;
    }
  }
  for (int32_t r = 0; r < p.count; r++) finish(p, r, partials[r].total, merged + static_cast<int64_t>(r) * width);
}

/** One split of a piece. Whoever does the last of them merges them all, in order. */
template <KvFormat K>
void runSplit(const Piece& p, const Work& work, float* values) {
  const int32_t width = p.shape.width, splits = p.unit.lastSplit - p.unit.firstSplit + 1;
  const int64_t stride = static_cast<int64_t>(sizeof(Partial)) + width * 4;
  const auto place = [&](int32_t split, int32_t r) {
    const int64_t index = (static_cast<int64_t>(split - p.unit.firstSplit) * p.o.kvHeads + p.kvHead) * p.count + r;
    return work.partials + (p.unit.partial + index) * stride;
  };
  beginRows(p, values);
  addSplit<K>(p, p.unit.split);
  for (int32_t r = 0; r < p.count; r++) {
    uint8_t* to = place(p.unit.split, r);
    *reinterpret_cast<Partial*>(to) = partialOf(p.rows[r]);
    memcpy(to + sizeof(Partial), p.rows[r].values, static_cast<size_t>(width) * 4);
  }
  if (work.done[p.unit.counter + p.kvHead].fetch_add(1, std::memory_order_acq_rel) + 1 < splits) return;
  for (int32_t r = 0; r < p.count; r++) {
    Partial total = {0, 0};
    float* into = values + static_cast<int64_t>(r) * width;
    bool begun = false;
    for (int32_t split = p.unit.firstSplit; split <= p.unit.lastSplit; split++) {
      if (!sees(p, r, split)) continue;
      const uint8_t* from = place(split, r);
      const Partial& partial = *reinterpret_cast<const Partial*>(from);
      const float* partialValues = reinterpret_cast<const float*>(from + sizeof(Partial));
      if (begun) {
        merge(total, into, partial, partialValues, width);
      } else {
        total = partial;
        memcpy(into, partialValues, static_cast<size_t>(width) * 4);
      }
      begun = true;
    }
    finish(p, r, total.total, into);
  }
}

struct Scratch {
  float* values;
  float* merged;
  Row* rows;
  Partial* partials;
};

int64_t scratchRows(const op::Attention& o) { return static_cast<int64_t>(tokenTile) * (o.heads / o.kvHeads); }

Scratch scratchOf(const op::Attention& o, uint8_t* scratch) {
  const int64_t rows = scratchRows(o), values = rows * padded(o.headDim);
  float* first = reinterpret_cast<float*>(scratch);
  Row* row = reinterpret_cast<Row*>(first + 2 * values);
  return {first, first + values, row, reinterpret_cast<Partial*>(row + rows)};
}

size_t attentionScratch(const Limits&, const void* record) {
  const auto& o = as<op::Attention>(record);
  return static_cast<size_t>(scratchRows(o)) * (static_cast<size_t>(padded(o.headDim)) * 8 + sizeof(Row) + sizeof(Partial));
}

const float* vectorOf(const Step& s, const Operand& o) { return o.space == 0 ? nullptr : rowOf(s, o, 0); }

template <KvFormat K>
void runPiece(const Step& s, const op::Attention& o, const Work& work, int32_t index, uint8_t* scratch) {
  const Unit& unit = work.unit[index / o.kvHeads];
  const int32_t group = o.heads / o.kvHeads;
  const int64_t blocksPerSequence = ceilDiv(s.limits->context, s.limits->blockSize);
  const Scratch room = scratchOf(o, scratch);
  const Shape shape = {o.headDim,  padded(o.headDim), o.scale, o.softcap,   vectorOf(s, o.slopes), vectorOf(s, o.bias), vectorOf(s, o.buckets),
                       o.heads,    o.bias.rows,       o.buckets.width};
  const Piece piece = {s,     o,         s.caches[o.layer],          unit,
                       index % o.kvHeads, group, (unit.end - unit.begin) * group, shape,
                       room.rows, ints(s, Field::positions), ints(s, Field::blockTables) + unit.sequence * blocksPerSequence};
  if (unit.partial >= 0) {
    runSplit<K>(piece, work, room.values);
  } else {
    runWhole<K>(piece, room.values, room.merged, room.partials);
  }
}

void runAttention(const Step& s, const void* record, int32_t task, uint8_t* scratch) {
  constexpr void (*byFormat[])(const Step&, const op::Attention&, const Work&, int32_t, uint8_t*) = {
      runPiece<KvFormat::f32>, runPiece<KvFormat::bf16>, runPiece<KvFormat::int8>};
  const auto& o = as<op::Attention>(record);
  const Work work = workIn(s, o);
  const auto run = byFormat[static_cast<int>(s.caches[o.layer].format)];
  for (int32_t i = task * work.together; i < (task + 1) * work.together; i++) run(s, o, work, i, scratch);
}

}  // namespace

extern const Kernel attention = {attentionTasks, runAttention, attentionScratch, attentionShared};

}  // namespace loquent::LOQUENT_ISA
