// Attention over the paged cache. Twin: backends/reference.
//
// Keys are walked in tiles of 64 absolute positions (four blocks), ascending. Every 256 positions a row begins anew, and what it
// has (maximum, total, weighted values) is merged with what it had, in that order. So these stretches may be computed by one
// thread after another or by many at a time: the sums are the same. What a row computes depends only on its own position and
// keys, so that a decoded token and the same token in a chunk of a prompt have the same bits.
#include "../core/panels.h"
#include "attention-query.h"
#include "attention-work.h"
#include "rotation.h"

namespace loquent::LOQUENT_ISA {
namespace {

/** Memory of a thread. */
struct Scratch {
  Row* rows;
  Partial* partials;
  uint32_t* queries;
  float* values;
  float* merged;
  /** A query head, rotated. */
  float* rotated;
  /** The heads of a token that share a KV head, before they are rounded. */
  float* finished;
};

int32_t scratchRows(const op::Attention& o) { return tokenTile * (o.heads / o.kvHeads); }

Scratch scratchOf(const op::Attention& o, uint8_t* scratch) {
  const int64_t rows = scratchRows(o), values = rows * padded(o.headDim);
  Row* row = reinterpret_cast<Row*>(scratch);
  auto* partial = reinterpret_cast<Partial*>(row + rows);
  auto* words = reinterpret_cast<uint32_t*>(reinterpret_cast<uint8_t*>(partial) + wholeLines(rows * static_cast<int64_t>(sizeof(Partial))));
  float* first = reinterpret_cast<float*>(words + values);
  return {row, partial, words, first, first + values, first + 2 * values, first + 2 * values + padded(o.headDim)};
}

size_t attentionScratch(const Limits&, const void* record) {
  const auto& o = as<op::Attention>(record);
  const int64_t rows = scratchRows(o);
  return static_cast<size_t>(rows * static_cast<int64_t>(sizeof(Row)) + wholeLines(rows * static_cast<int64_t>(sizeof(Partial))) +
                             (3 * rows + 1 + o.heads / o.kvHeads) * padded(o.headDim) * 4);
}

/** One KV head of a unit. */
struct Item {
  const Unit* unit;
  int32_t kvHead;
};

/** What all items of a step have in common. */
struct Context {
  const Step& step;
  const op::Attention& o;
  const Cache& cache;
  HeadLayout layout;
  Shape shape;
  Work work;
  Scratch room;
  int32_t group;
};

/** Where a head of the block of a key begins. */
LOQUENT_INLINE const uint8_t* headOf(const Context& c, const Item& item, int32_t key) {
  const int64_t perSequence = ceilDiv(c.step.limits->context, c.step.limits->blockSize);
  const int32_t* blocks = ints(c.step, Field::blockTables) + item.unit->sequence * perSequence;
  return c.cache.base + blocks[key / keyTile] * c.cache.blockBytes + item.kvHead * c.layout.bytes;
}

/** The heads of the four blocks from `low` on; in place of a block that no row sees, which may have no entry, another. */
LOQUENT_INLINE void locate(const Context& c, const Item& item, int32_t low, const uint8_t* (&heads)[tileBlocks]) {
  for (int32_t b = 0; b < tileBlocks; b++) {
    const int32_t key = least(low + b * keyTile, item.unit->lastKey);
    heads[b] = headOf(c, item, key > item.unit->firstKey ? key : item.unit->firstKey);
  }
}

const float* queryOf(const Context& c, int32_t token, int32_t head) {
  const float* q = rowOf(c.step, c.o.q, token) + head * c.o.headDim;
  if (c.o.table.space == 0) return q;
  rotateHead(c.o.style, q, rowOf(c.step, c.o.table, token), c.o.table.width / 2, c.room.rotated, c.o.headDim);
  return c.room.rotated;
}

void prepareRows(const Context& c, const Item& item) {
  const int32_t* positions = ints(c.step, Field::positions);
  const int32_t count = (item.unit->end - item.unit->begin) * c.group;
  const auto encode = [&](const float* q, uint32_t* words) {
    switch (c.cache.format) {
      case KvFormat::bf16: return encodeQuery<KvFormat::bf16>(q, c.o.headDim, words);
      case KvFormat::int8: return encodeQuery<KvFormat::int8>(q, c.o.headDim, words);
      default: return encodeQuery<KvFormat::f32>(q, c.o.headDim, words);
    }
  };
  constexpr float powersOfTwo = 1.44269504f;
  for (int32_t r = 0; r < count; r++) {
    const int32_t token = item.unit->begin + r / c.group, head = item.kvHead * c.group + r % c.group;
    Row& row = c.room.rows[r];
    uint32_t* words = c.room.queries + static_cast<int64_t>(r) * c.shape.width;
    row.q = words;
    row.values = c.room.values + static_cast<int64_t>(r) * c.shape.width;
    row.merged = c.room.merged + static_cast<int64_t>(r) * c.shape.width;
    row.position = positions[token];
    row.head = head;
    row.unit = encode(queryOf(c, token, head), words);
    row.factor = c.shape.plain ? row.unit * c.shape.scale * powersOfTwo : powersOfTwo;
  }
}

void beginRows(const Context& c, int32_t count) {
  for (int32_t r = 0; r < count; r++) {
    c.room.rows[r].maximum = lowestMaximum;
    memset(c.room.rows[r].sums, 0, sizeof c.room.rows[r].sums);
  }
}

template <KvFormat K, bool fetch>
void addTiles(const Context& c, int32_t from, int32_t to, const Tile& tile, const Units* units, Fetch& next) {
  using AddTile = void (*)(Row*, const Tile&, const Shape&, const Units*, Fetch&);
  constexpr AddTile byRows[] = {
      addTile<K, 1, fetch>,
      addTile<K, 2, fetch>,
      addTile<K, 3, fetch>,
      addTile<K, groupRows - 2, fetch>,
      addTile<K, groupRows - 1, fetch>,
      addTile<K, groupRows, fetch>,
  };
  byRows[to - from - 1](c.room.rows + from, tile, c.shape, units, next);
}

/** Adds keys `[first, last]` of an item, all of one split, to its rows. */
template <KvFormat K>
void addSplit(const Context& c, const Item& item, const Item* after, int32_t first, int32_t last) {
  const int32_t count = (item.unit->end - item.unit->begin) * c.group, groups = ceilDiv(count, groupRows);
  for (int32_t low = first / tileKeys * tileKeys; low <= last; low += tileKeys) {
    Tile tile;
    const uint8_t* heads[tileBlocks];
    locate(c, item, low, heads);
    for (int b = 0; b < tileBlocks; b++) tile.heads[b] = headAt(heads[b], c.layout);
    tile.low = low;
    const uint8_t* following[tileBlocks];
    const bool more = low + tileKeys <= item.unit->lastKey;
    if (more) {
      locate(c, item, low + tileKeys, following);
    } else if (after) {
      locate(c, *after, after->unit->firstKey / tileKeys * tileKeys, following);
    }
    Fetch next(following, more || after ? tileBlocks : 0, c.layout.bytes);
    Units units;
    if (K == KvFormat::int8 && first <= low && low + tileKeys - 1 <= last) units = unitsOf(tile, {0, tileKeys});
    addTiles<K, true>(c, 0, count / groups, tile, &units, next);
    for (int32_t g = 1; g < groups; g++) addTiles<K, false>(c, g * count / groups, (g + 1) * count / groups, tile, &units, next);
  }
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

LOQUENT_INLINE void finish(const Context& c, const Item& item, int32_t r, float total, const float* values) {
  const int32_t first = item.kvHead * c.group * c.o.headDim, within = r % c.group;
  const bool rounds = c.o.rounding != Rounding::none;
  float* row = rowOf(c.step, c.o.out, item.unit->begin + r / c.group);
  float* out = (rounds ? c.room.finished : row + first) + within * c.o.headDim;
  const F inverse = splatF(1.0f / total);
  int32_t d = 0;
  for (; d + 16 <= c.o.headDim; d += 16) storeF(out + d, loadF(values + d) * inverse);
  if (d < c.o.headDim) storeSome(out + d, loadF(values + d) * inverse, c.o.headDim - d);
  // With the last head of a token, that all of them are rounded together.
  if (!rounds || within + 1 < c.group) return;
  const bool halves = c.o.rounding == Rounding::bf16;
  uint8_t* to = reinterpret_cast<uint8_t*>(row) + encodedBytes(halves ? Format::bf16 : Format::q8_0, first);
  encodeRow(halves ? Encoding::bf16 : Encoding::q8_0, c.room.finished, c.group * c.o.headDim, to);
}

LOQUENT_INLINE bool sees(const Context& c, const Row& row, int32_t split) {
  return firstKeyOf(c.o, row.position) / splitKeys <= split && split <= row.position / splitKeys;
}

Partial partialOf(const Row& row) { return {row.maximum, sumOf(loadF(row.sums))}; }

/** All keys of an item, split after split. */
template <KvFormat K>
void runWhole(const Context& c, const Item& item, const Item* after) {
  const Unit& u = *item.unit;
  const int32_t width = c.shape.width, count = (u.end - u.begin) * c.group;
  const int32_t firstSplit = u.firstKey / splitKeys, lastSplit = u.lastKey / splitKeys;
  const Scratch& room = c.room;
  for (int32_t split = firstSplit; split <= lastSplit; split++) {
    beginRows(c, count);
    const int32_t begin = split * splitKeys, end = least(u.lastKey, begin + splitKeys - 1);
    addSplit<K>(c, item, after, u.firstKey > begin ? u.firstKey : begin, end);
    if (firstSplit == lastSplit) break;
    for (int32_t r = 0; r < count; r++) {
      if (!sees(c, room.rows[r], split)) continue;
      Row& row = room.rows[r];
      if (split > firstSplit && sees(c, row, split - 1)) {
        merge(room.partials[r], row.merged, partialOf(row), row.values, width);
      } else {
        room.partials[r] = partialOf(row);
        float* values = row.values;
        row.values = row.merged;
        row.merged = values;
      }
    }
  }
  for (int32_t r = 0; r < count; r++) {
    if (firstSplit == lastSplit) {
      finish(c, item, r, sumOf(loadF(room.rows[r].sums)), room.rows[r].values);
    } else {
      finish(c, item, r, room.partials[r].total, room.rows[r].merged);
    }
  }
}

/** One split of an item that is handed out so. Whoever does the last of them merges them all, in order. */
template <KvFormat K>
void runSplit(const Context& c, const Item& item, const Item* after) {
  const Unit& u = *item.unit;
  const int32_t width = c.shape.width, count = (u.end - u.begin) * c.group;
  const int64_t stride = capacityOf(*c.step.limits, c.o).partialBytes;
  const auto place = [&](int32_t i, int32_t r) {
    const int64_t index = (static_cast<int64_t>(i) * c.o.kvHeads + item.kvHead) * count + r;
    return c.work.partials + (u.partial + index) * stride;
  };
  beginRows(c, count);
  addSplit<K>(c, item, after, u.firstKey, u.lastKey);
  // Splits of a unit stand one after another, and one counter tells which unit it is.
  const Unit* first = item.unit;
  while (first > c.work.unit && first[-1].counter == u.counter) first--;
  for (int32_t r = 0; r < count; r++) {
    uint8_t* to = place(static_cast<int32_t>(item.unit - first), r);
    *reinterpret_cast<Partial*>(to) = partialOf(c.room.rows[r]);
    memcpy(to + lineBytes, c.room.rows[r].values, static_cast<size_t>(width) * 4);
  }
  if (c.work.done[u.counter + item.kvHead].fetch_add(1, std::memory_order_acq_rel) + 1 < u.splits) return;
  const int32_t firstSplit = first->firstKey / splitKeys;
  for (int32_t r = 0; r < count; r++) {
    Partial total = {0, 0};
    float* into = c.room.merged;
    bool begun = false;
    for (int32_t i = 0; i < u.splits; i++) {
      if (!sees(c, c.room.rows[r], firstSplit + i)) continue;
      const uint8_t* from = place(i, r);
      const Partial& partial = *reinterpret_cast<const Partial*>(from);
      const float* values = reinterpret_cast<const float*>(from + lineBytes);
      if (begun) {
        merge(total, into, partial, values, width);
      } else {
        total = partial;
        memcpy(into, values, static_cast<size_t>(width) * 4);
      }
      begun = true;
    }
    finish(c, item, r, total.total, into);
  }
}

template <KvFormat K>
void runItems(const Context& c, const int32_t* piece) {
  const int32_t begin = piece[0], end = piece[1];
  // The first of the piece that follows counts too: most often the same thread's turn comes to it.
  const int32_t last = end < piece[2] ? end + 1 : end;
  const auto itemAt = [&](int32_t i) { return Item{c.work.unit + i / c.o.kvHeads, i % c.o.kvHeads}; };
  for (int32_t i = begin; i < end; i++) {
    const Item item = itemAt(i), after = itemAt(i + 1 < last ? i + 1 : i);
    prepareRows(c, item);
    (item.unit->partial >= 0 ? runSplit<K> : runWhole<K>)(c, item, i + 1 < last ? &after : nullptr);
  }
}

const float* vectorOf(const Step& s, const Operand& o) { return o.space == 0 ? nullptr : rowOf(s, o, 0); }

Shape shapeOf(const Step& s, const op::Attention& o) {
  const bool plain = o.softcap == 0 && o.slopes.space == 0 && o.bias.space == 0 && o.scale > 0;
  return {o.headDim,           padded(o.headDim),     o.scale,   o.softcap,   o.window,        vectorOf(s, o.slopes),
          vectorOf(s, o.bias), vectorOf(s, o.buckets), o.heads, o.bias.rows, o.buckets.width, plain};
}

int32_t attentionTasks(const Step& s, const void* record) { return layOut(s, as<op::Attention>(record)); }

size_t attentionShared(const Limits& l, const void* record) { return bytesOfWork(l, as<op::Attention>(record)); }

void runAttention(const Step& s, const void* record, int32_t task, uint8_t* scratch) {
  constexpr void (*byFormat[])(const Context&, const int32_t*) = {runItems<KvFormat::f32>, runItems<KvFormat::bf16>, runItems<KvFormat::int8>};
  const auto& o = as<op::Attention>(record);
  const Cache& cache = s.caches[o.layer];
  const Context context = {s, o, cache, headLayout(cache.format, cache.headDim), shapeOf(s, o), workIn(s, o), scratchOf(o, scratch), o.heads / o.kvHeads};
  byFormat[static_cast<int>(cache.format)](context, context.work.piece + task);
}

}  // namespace

extern const Kernel attention = {attentionTasks, runAttention, attentionScratch, attentionShared};

}  // namespace loquent::LOQUENT_ISA
