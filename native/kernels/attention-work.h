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
/** Pieces a thread, so that the last one to come waits for little. */
constexpr int32_t piecesPerThread = 16;
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

/** Of what step and what kind of attention the shared memory holds the pieces. */
struct Laid {
  int64_t step;
  int32_t window, heads, kvHeads;
  int32_t pieces, counters;
};

/**
 * The shared memory of an attention: whose it is, units, counts of splits done, positions and block tables as the frame has them, where pieces begin
 * (of units times KV heads; the end twice), partials. A thread that does a piece over may still be reading it when the step is over and
 * another one writes here, so what it reads is looked at first (`unitIn`, `blockIn`); the frame itself it does not touch.
 */
struct Work {
  Laid* laid;
  Unit* unit;
  std::atomic<int32_t>* done;
  int32_t *position, *block, *piece;
  uint8_t* partials;
};

LOQUENT_INLINE int64_t wholeLines(int64_t bytes) { return (bytes + lineBytes - 1) / lineBytes * lineBytes; }

LOQUENT_INLINE int64_t blocksPerSequence(const Limits& l) { return ceilDiv(l.context, l.blockSize); }

/** Rows of a piece, and of the scratch of a thread: those of one KV head of a unit, or of several of fewer. */
LOQUENT_INLINE int32_t mostRows(const op::Attention& o) { return tokenTile * (o.heads / o.kvHeads); }

/** Lays the shared memory out from `base` on; `size` becomes what it takes. */
LOQUENT_INLINE Work placeWork(uint8_t* base, const Limits& l, const op::Attention& o, int64_t& size) {
  const Capacity c = capacityOf(l, o);
  size = 0;
  const auto take = [&](int64_t bytes) {
    uint8_t* place = base + size;
    size += wholeLines(bytes);
    return place;
  };
  const auto ints = [&](int64_t count) { return reinterpret_cast<int32_t*>(take(count * 4)); };
  Work w;
  w.laid = reinterpret_cast<Laid*>(take(static_cast<int64_t>(sizeof(Laid))));
  w.unit = reinterpret_cast<Unit*>(take(c.units * static_cast<int64_t>(sizeof(Unit))));
  w.done = reinterpret_cast<std::atomic<int32_t>*>(take(mostPartials * 4));
  w.position = ints(l.tokens);
  w.block = ints(l.sequences * blocksPerSequence(l));
  w.piece = ints(c.units * o.kvHeads + 2);
  w.partials = take(mostPartials * c.partialBytes);
  return w;
}

LOQUENT_INLINE size_t bytesOfWork(const Limits& l, const op::Attention& o) {
  int64_t size;
  placeWork(nullptr, l, o, size);
  return static_cast<size_t>(size);
}

LOQUENT_INLINE Work workIn(const Step& s, const op::Attention& o) {
  int64_t size;
  return placeWork(s.shared, *s.limits, o, size);
}

LOQUENT_INLINE int32_t lookAt(const int32_t* place) { return __atomic_load_n(place, __ATOMIC_RELAXED); }

/** A copy of a unit; false when what is there is none, which only a thread finds that comes too late. */
LOQUENT_INLINE bool unitIn(const Work& work, const Limits& l, const op::Attention& o, int64_t index, Unit& u) {
  if (index < 0 || index >= capacityOf(l, o).units) return false;
  u = work.unit[index];
  // The copy is what is looked at, and used.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  return u.sequence >= 0 && u.sequence < l.sequences && u.begin >= 0 && u.begin < u.end && u.end <= l.tokens && u.end - u.begin <= tokenTile &&
         u.firstKey >= 0 && u.firstKey <= u.lastKey && u.lastKey < l.context;
}

/** The block of a sequence's key. */
LOQUENT_INLINE int64_t blockIn(const Work& work, const Limits& l, int32_t sequence, int32_t key) {
  const int32_t block = lookAt(work.block + sequence * blocksPerSequence(l) + key / keyTile);
  return block >= 0 && block < l.blocks ? block : 0;
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

/** Cuts units times KV heads into pieces of about `cost`, and no more rows than a thread keeps; returns how many. */
LOQUENT_INLINE int32_t cutPieces(const Work& work, int32_t units, const op::Attention& o, int64_t cost) {
  const int32_t group = o.heads / o.kvHeads;
  int32_t pieces = 0, rows = 0;
  int64_t sum = 0;
  for (int32_t i = 0; i < units * o.kvHeads; i++) {
    const Unit& u = work.unit[i / o.kvHeads];
    const int32_t more = (u.end - u.begin) * group;
    if (i == 0 || sum >= cost || rows + more > mostRows(o)) {
      work.piece[pieces++] = i;
      sum = 0;
      rows = 0;
    }
    sum += costOf(u, group);
    rows += more;
  }
  work.piece[pieces] = work.piece[pieces + 1] = units * o.kvHeads;
  return pieces;
}

/** Keeps what the pieces need of the frame. */
LOQUENT_INLINE void keepFrame(const Step& s, const Work& work) {
  const int32_t* starts = ints(s, Field::queryStarts);
  const int32_t* positions = ints(s, Field::positions);
  const int32_t* blocks = ints(s, Field::blockTables);
  const int64_t perSequence = blocksPerSequence(*s.limits);
  memcpy(work.position, positions, static_cast<size_t>(s.rows[static_cast<int>(Domain::tokens)]) * 4);
  for (int32_t q = 0; q < s.sequences; q++) {
    int32_t last = -1;
    for (int32_t t = starts[q]; t < starts[q + 1]; t++) last = positions[t] > last ? positions[t] : last;
    memcpy(work.block + q * perSequence, blocks + q * perSequence, static_cast<size_t>((last + keyTile) / keyTile) * 4);
  }
}

/** Lists the pieces of work. */
LOQUENT_INLINE Laid listPieces(const Step& s, const op::Attention& o, const Work& work) {
  keepFrame(s, work);
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
    counters += o.kvHeads;
    partials += static_cast<int32_t>(needed);
  });
  return {s.number, o.window, o.heads, o.kvHeads, cutPieces(work, units, o, cost), counters};
}

/** Makes the shared memory ready; returns how many pieces there are. Layers of one kind have the same. */
LOQUENT_INLINE int32_t layOut(const Step& s, const op::Attention& o) {
  const Work work = workIn(s, o);
  Laid& laid = *work.laid;
  const bool same = laid.step == s.number && laid.window == o.window && laid.heads == o.heads && laid.kvHeads == o.kvHeads;
  if (!same) laid = listPieces(s, o, work);
  for (int32_t i = 0; i < laid.counters; i++) work.done[i].store(0, std::memory_order_relaxed);
  return laid.pieces;
}

}  // namespace loquent::LOQUENT_ISA
