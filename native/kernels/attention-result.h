// What the rows of a piece of an attention come to: kept aside by who computes it, written by who commits it (Batch, core/job.h).
#pragma once
#include "../core/panels.h"
#include "attention-work.h"

namespace loquent::LOQUENT_ISA {

/** One KV head of a unit. */
struct Item {
  Unit unit;
  int32_t kvHead;
};

LOQUENT_INLINE bool itemAt(const Work& work, const Limits& l, const op::Attention& o, int32_t i, Item& item) {
  item.kvHead = i % o.kvHeads;
  return i >= 0 && unitIn(work, l, o, i / o.kvHeads, item.unit);
}

/** Rows, each a partial and its values from the next line on. */
struct Results {
  uint8_t* base;
  int32_t width;

  int64_t stride() const { return lineBytes + static_cast<int64_t>(width) * 4; }
  uint8_t* at(int64_t row) const { return base + row * stride(); }
  Partial& partial(int64_t row) const { return *reinterpret_cast<Partial*>(at(row)); }
  float* values(int64_t row) const { return reinterpret_cast<float*>(at(row) + lineBytes); }
  void keep(int64_t row, const Partial& p, const float* v) const {
    partial(row) = p;
    memcpy(values(row), v, static_cast<size_t>(width) * 4);
  }
};

LOQUENT_INLINE Partial partialOf(const Row& row) { return {row.maximum, sumOf(loadF(row.sums))}; }

LOQUENT_INLINE bool sees(const op::Attention& o, int32_t position, int32_t split) {
  return firstKeyOf(o, position) / splitKeys <= split && split <= position / splitKeys;
}

/** Adds what a later split gave to what the ones before gave. */
LOQUENT_INLINE void merge(Partial& into, float* values, const Partial& more, const float* moreValues, int32_t width) {
  const float maximum = more.maximum > into.maximum ? more.maximum : into.maximum;
  // Not a number times nothing is none either: a row that is not finite stays so.
  const float before = powerOfTwo(into.maximum - maximum), here = powerOfTwo(more.maximum - maximum);
  into = {maximum, into.total * before + more.total * here};
  const F x = splatF(before), y = splatF(here);
  for (int32_t c = 0; c < width; c += 16) storeF(values + c, loadF(values + c) * x + loadF(moreValues + c) * y);
}

/** Where results go; `finished` is room for the heads of a token that share a KV head, before they are rounded. */
struct Outputs {
  const Step& step;
  const op::Attention& o;
  float* finished;
};

/** Writes an output row: values over their total. */
LOQUENT_INLINE void finish(const Outputs& to, const Item& item, int32_t r, float total, const float* values) {
  const op::Attention& o = to.o;
  const int32_t group = o.heads / o.kvHeads, first = item.kvHead * group * o.headDim, within = r % group;
  const bool rounds = o.rounding != Rounding::none;
  float* row = rowOf(to.step, o.out, item.unit.begin + r / group);
  float* out = (rounds ? to.finished : row + first) + within * o.headDim;
  const F inverse = splatF(1.0f / total);
  int32_t d = 0;
  for (; d + 16 <= o.headDim; d += 16) storeF(out + d, loadF(values + d) * inverse);
  if (d < o.headDim) storeSome(out + d, loadF(values + d) * inverse, o.headDim - d);
  // With the last head of a token, that all of them are rounded together.
  if (!rounds || within + 1 < group) return;
  uint8_t* encoded = reinterpret_cast<uint8_t*>(row) + encodedBytes(formatOf(o.out), first);
  encodeRow(formatOf(o.out), to.finished, group * o.headDim, encoded);
}

/** Puts a split's rows to those of the others; whoever brings the last of them merges them all, in order. */
LOQUENT_INLINE void commitSplit(const Outputs& to, const Work& work, int64_t index, const Item& item, const Results& kept, int32_t at) {
  const op::Attention& o = to.o;
  const Unit& u = item.unit;
  const int32_t count = (u.end - u.begin) * (o.heads / o.kvHeads);
  const Results shared = {work.partials, kept.width};
  // Splits of a unit stand one after another, and one counter tells which unit it is.
  int64_t first = index;
  while (first > 0 && work.unit[first - 1].counter == u.counter) first--;
  const auto place = [&](int64_t i, int32_t r) { return u.partial + (i * o.kvHeads + item.kvHead) * count + r; };
  for (int32_t r = 0; r < count; r++) shared.keep(place(index - first, r), kept.partial(at + r), kept.values(at + r));
  if (work.done[u.counter + item.kvHead].fetch_add(1, std::memory_order_acq_rel) + 1 < u.splits) return;
  const int32_t firstSplit = work.unit[first].firstKey / splitKeys;
  for (int32_t r = 0; r < count; r++) {
    const int32_t position = work.position[u.begin + r / (o.heads / o.kvHeads)];
    int64_t into = -1;
    for (int32_t i = 0; i < u.splits; i++) {
      if (!sees(o, position, firstSplit + i)) continue;
      const int64_t from = place(i, r);
      if (into >= 0) merge(shared.partial(into), shared.values(into), shared.partial(from), shared.values(from), shared.width);
      if (into < 0) into = from;
    }
    finish(to, item, r, shared.partial(into).total, shared.values(into));
  }
}

/** Writes a piece's results. */
LOQUENT_INLINE void commitItems(const Outputs& to, const Work& work, int32_t task, const Results& kept) {
  const op::Attention& o = to.o;
  Item item;
  for (int32_t i = work.piece[task], at = 0; i < work.piece[task + 1]; i++) {
    if (!itemAt(work, *to.step.limits, o, i, item)) return;
    const int32_t count = (item.unit.end - item.unit.begin) * (o.heads / o.kvHeads);
    if (item.unit.partial >= 0) {
      commitSplit(to, work, i / o.kvHeads, item, kept, at);
    } else {
      for (int32_t r = 0; r < count; r++) finish(to, item, r, kept.partial(at + r).total, kept.values(at + r));
    }
    at += count;
  }
}

}  // namespace loquent::LOQUENT_ISA
