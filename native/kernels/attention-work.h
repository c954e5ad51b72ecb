// How the attention of a step falls into pieces: stretches of tokens and keys ("units"), each for every KV head, and pieces of
// some consecutive ones, about equally long. Where there are few, the keys of a unit are handed out split by split.
#pragma once
#include <atomic>

#include "attention-tile.h"

namespace loquent::LOQUENT_ISA {

/** Tokens of one sequence that a unit covers. */
constexpr int32_t tokenTile = 16;
/** Keys after which a row begins anew. Part of the result: another number gives other last bits. */
constexpr int32_t splitKeys = 256;

/** Stretches that are kept apart for other threads to merge: memory that does not grow with the step. */
constexpr int32_t mostPartials = 8192;
/** Pieces a thread, so that the last one to come waits for little; and no more of them than this in all. */
constexpr int32_t piecesPerThread = 16, mostPieces = 4096;
/** What a key of a unit costs beside that of each row: it comes from memory. */
constexpr int32_t keyCost = 16;
/** The least worth handing out. */
constexpr int64_t leastCost = 2048;

/** A stretch of tokens of a sequence, and its keys. `partial >= 0`: one of `splits` stretches of keys that others do too. */
struct Unit {
  int32_t sequence, begin, end;
  int32_t firstKey, lastKey;
  int32_t splits;
  /** Place of the unit's first partial, and of the counts (one a KV head) of its splits that are done. */
  int32_t partial, counter;
};

/** What a stretch of keys gave a row; values follow it in memory, from the next line on. */
struct Partial {
  float maximum, total;
};

struct Capacity {
  int64_t units, partialBytes;
};

LOQUENT_INLINE Capacity capacityOf(const Limits& l, const op::Attention& o) {
  // Every stretch of tokens is a unit of its own, or as many as it has splits, each of which takes a partial at least.
  const int64_t tiles = static_cast<int64_t>(l.sequences) + ceilDiv(l.tokens, tokenTile);
  return {tiles + mostPartials, lineBytes + static_cast<int64_t>(padded(o.headDim)) * 4};
}

/** The shared memory of an attention: units, where pieces begin (of units times KV heads; the end twice), counts of splits done, partials. */
struct Work {
  Unit* unit;
  int32_t* piece;
  std::atomic<int32_t>* done;
  uint8_t* partials;
};

LOQUENT_INLINE int64_t wholeLines(int64_t bytes) { return (bytes + lineBytes - 1) / lineBytes * lineBytes; }

LOQUENT_INLINE size_t bytesOfWork(const Limits& l, const op::Attention& o) {
  const Capacity c = capacityOf(l, o);
  return static_cast<size_t>(wholeLines(c.units * static_cast<int64_t>(sizeof(Unit))) + wholeLines((mostPieces + 2) * 4) +
                             wholeLines(mostPartials * 4) + mostPartials * c.partialBytes);
}

LOQUENT_INLINE Work workIn(const Step& s, const op::Attention& o) {
  const Capacity c = capacityOf(*s.limits, o);
  uint8_t* pieces = s.shared + wholeLines(c.units * static_cast<int64_t>(sizeof(Unit)));
  uint8_t* done = pieces + wholeLines((mostPieces + 2) * 4);
  return {reinterpret_cast<Unit*>(s.shared), reinterpret_cast<int32_t*>(pieces), reinterpret_cast<std::atomic<int32_t>*>(done),
          done + wholeLines(mostPartials * 4)};
}

LOQUENT_INLINE int32_t firstKeyOf(const op::Attention& o, int32_t position) {
  return o.window > 0 && position - o.window + 1 > 0 ? position - o.window + 1 : 0;
}

/** Tokens `[begin, end)` of a sequence and all keys that one of them sees. */
LOQUENT_INLINE Unit unitAt(const op::Attention& o, const int32_t* positions, int32_t sequence, int32_t begin, int32_t end) {
  int32_t first = firstKeyOf(o, positions[begin]), last = positions[begin];
  for (int32_t t = begin + 1; t < end; t++) {
    first = least(first, firstKeyOf(o, positions[t]));
    last = last > positions[t] ? last : positions[t];
  }
  return {sequence, begin, end, first, last, 1, -1, -1};
}

LOQUENT_INLINE int64_t costOf(const Unit& u, int32_t group) {
  return static_cast<int64_t>(u.lastKey - u.firstKey + 1) * (keyCost + (u.end - u.begin) * group);
}

/** Calls `take` with every stretch of tokens of the step. */
template <typename Take>
LOQUENT_INLINE void eachUnit(const Step& s, const op::Attention& o, Take take) {
  const int32_t* starts = ints(s, Field::queryStarts);
  const int32_t* positions = ints(s, Field::positions);
  for (int32_t q = 0; q < s.sequences; q++) {
    for (int32_t begin = starts[q]; begin < starts[q + 1]; begin += tokenTile) {
      take(unitAt(o, positions, q, begin, least(begin + tokenTile, starts[q + 1])));
    }
  }
}

/** Cuts units times KV heads into pieces of about `cost`; returns how many. */
LOQUENT_INLINE int32_t cutPieces(const Work& work, int32_t units, const op::Attention& o, int64_t cost) {
  const int32_t group = o.heads / o.kvHeads;
  int32_t pieces = 0;
  int64_t sum = 0;
  for (int32_t i = 0; i < units * o.kvHeads; i++) {
    if (i == 0 || (sum >= cost && pieces < mostPieces)) {
      work.piece[pieces++] = i;
      sum = 0;
    }
    sum += costOf(work.unit[i / o.kvHeads], group);
  }
  work.piece[pieces] = work.piece[pieces + 1] = units * o.kvHeads;
  return pieces;
}

/** Lists the pieces of work; returns how many. */
LOQUENT_INLINE int32_t layOut(const Step& s, const op::Attention& o) {
  const Work work = workIn(s, o);
  const int32_t group = o.heads / o.kvHeads;
  int64_t total = 0;
  eachUnit(s, o, [&](const Unit& u) { total += costOf(u, group) * o.kvHeads; });
  const int64_t fair = total / (static_cast<int64_t>(s.threads) * piecesPerThread);
  const int64_t cost = s.threads == 1 ? total : fair > leastCost ? fair : leastCost;
  int32_t units = 0, partials = 0, counters = 0;
  eachUnit(s, o, [&](const Unit& u) {
    const int32_t firstSplit = u.firstKey / splitKeys, splits = u.lastKey / splitKeys - firstSplit + 1;
    const int64_t needed = static_cast<int64_t>(splits) * (u.end - u.begin) * o.heads;
    if (splits == 1 || costOf(u, group) <= cost || partials + needed > mostPartials) {
      work.unit[units++] = u;
      return;
    }
    for (int32_t i = 0; i < splits; i++) {
      const int32_t begin = (firstSplit + i) * splitKeys;
      Unit& part = work.unit[units++] = u;
      part.firstKey = u.firstKey > begin ? u.firstKey : begin;
      part.lastKey = least(u.lastKey, begin + splitKeys - 1);
      part.splits = splits;
      part.partial = partials;
      part.counter = counters;
    }
    for (int32_t h = 0; h < o.kvHeads; h++) work.done[counters++].store(0, std::memory_order_relaxed);
    partials += static_cast<int32_t>(needed);
  });
  return cutPieces(work, units, o, cost);
}

}  // namespace loquent::LOQUENT_ISA
