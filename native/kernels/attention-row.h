// What the parts of a tile share: rows of queries, the shape of an attention, a tile of 64 keys and what a row sees of it.
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

}  // namespace loquent::LOQUENT_ISA
