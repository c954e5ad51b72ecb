// Attention over the paged cache. Twin: backends/reference.
//
// Keys are walked in tiles of 64 absolute positions (four blocks), ascending. Every 256 positions a row begins anew, and what it
// has (maximum, total, weighted values) is merged with what it had, in that order. So these stretches may be computed by one
// thread after another or by many at a time: the sums are the same. What a row computes depends only on its own position and
// keys, so that a decoded token and the same token in a chunk of a prompt have the same bits.
#include "attention-query.h"
#include "attention-result.h"
#include "rotation.h"

namespace loquent::LOQUENT_ISA {
namespace {

/** Memory of a thread. */
struct Scratch {
  Row* rows;
  Partial* partials;
  uint32_t* queries;
  float* merged;
  /** A query head, rotated. */
  float* rotated;
  /** What the rows of a piece come to, until it is committed. At the begin of the scratch, where `commit` finds it. */
  Results results;
};

Scratch scratchOf(const op::Attention& o, uint8_t* scratch) {
  const int64_t rows = mostRows(o), values = rows * padded(o.headDim);
  const Results results = {scratch, padded(o.headDim)};
  Row* row = reinterpret_cast<Row*>(scratch + rows * results.stride());
  auto* partial = reinterpret_cast<Partial*>(row + rows);
  auto* words = reinterpret_cast<uint32_t*>(reinterpret_cast<uint8_t*>(partial) + wholeLines(rows * static_cast<int64_t>(sizeof(Partial))));
  float* first = reinterpret_cast<float*>(words + values);
  return {row, partial, words, first, first + values, results};
}

size_t attentionScratch(const Limits&, const void* record) {
  const auto& o = as<op::Attention>(record);
  const int64_t rows = mostRows(o), row = static_cast<int64_t>(sizeof(Row)) + Results{nullptr, padded(o.headDim)}.stride();
  return static_cast<size_t>(rows * row + wholeLines(rows * static_cast<int64_t>(sizeof(Partial))) + (2 * rows + 1) * padded(o.headDim) * 4);
}

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
  return c.cache.base + blockIn(c.work, *c.step.limits, item.unit.sequence, key) * c.cache.blockBytes + item.kvHead * c.layout.bytes;
}

/** The heads of the four blocks from `low` on; in place of a block that no row sees, which may have no entry, another. */
LOQUENT_INLINE void locate(const Context& c, const Item& item, int32_t low, const uint8_t* (&heads)[tileBlocks]) {
  for (int32_t b = 0; b < tileBlocks; b++) {
    const int32_t key = least(low + b * keyTile, item.unit.lastKey);
    heads[b] = headOf(c, item, key > item.unit.firstKey ? key : item.unit.firstKey);
  }
}

const float* queryOf(const Context& c, int32_t token, int32_t head) {
  const float* q = rowOf(c.step, c.o.q, token) + head * c.o.headDim;
  if (c.o.table.space == 0) return q;
  rotateHead(c.o.style, q, rowOf(c.step, c.o.table, token), c.o.table.width / 2, c.room.rotated, c.o.headDim);
  return c.room.rotated;
}

/** Rows of an item whose results stand from `at` on. */
void prepareRows(const Context& c, const Item& item, int32_t at) {
  const int32_t count = (item.unit.end - item.unit.begin) * c.group;
  const auto encode = [&](const float* q, uint32_t* words) {
    switch (c.cache.format) {
      case KvFormat::bf16: return encodeQuery<KvFormat::bf16>(q, c.o.headDim, words);
      case KvFormat::int8: return encodeQuery<KvFormat::int8>(q, c.o.headDim, words);
      default: return encodeQuery<KvFormat::f32>(q, c.o.headDim, words);
    }
  };
  constexpr float powersOfTwo = 1.44269504f;
  for (int32_t r = 0; r < count; r++) {
    const int32_t token = item.unit.begin + r / c.group, head = item.kvHead * c.group + r % c.group;
    Row& row = c.room.rows[r];
    uint32_t* words = c.room.queries + static_cast<int64_t>(r) * c.shape.width;
    row.q = words;
    row.values = c.room.results.values(at + r);
    row.merged = c.room.merged + static_cast<int64_t>(r) * c.shape.width;
    row.position = lookAt(c.work.position + token);
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
  const int32_t count = (item.unit.end - item.unit.begin) * c.group, groups = ceilDiv(count, groupRows);
  for (int32_t low = first / tileKeys * tileKeys; low <= last; low += tileKeys) {
    Tile tile;
    const uint8_t* heads[tileBlocks];
    locate(c, item, low, heads);
    for (int b = 0; b < tileBlocks; b++) tile.heads[b] = headAt(heads[b], c.layout);
    tile.low = low;
    const uint8_t* following[tileBlocks];
    const bool more = low + tileKeys <= item.unit.lastKey;
    if (more) {
      locate(c, item, low + tileKeys, following);
    } else if (after) {
      locate(c, *after, after->unit.firstKey / tileKeys * tileKeys, following);
    }
    Fetch next(following, more || after ? tileBlocks : 0, c.layout.bytes);
    Units units;
    if (K == KvFormat::int8 && first <= low && low + tileKeys - 1 <= last) units = unitsOf(tile, {0, tileKeys});
    addTiles<K, true>(c, 0, count / groups, tile, &units, next);
    for (int32_t g = 1; g < groups; g++) addTiles<K, false>(c, g * count / groups, (g + 1) * count / groups, tile, &units, next);
  }
}

/** All keys of an item, split after split. */
template <KvFormat K>
void runWhole(const Context& c, const Item& item, const Item* after, int32_t at) {
  const Unit& u = item.unit;
  const int32_t width = c.shape.width, count = (u.end - u.begin) * c.group;
  const int32_t firstSplit = u.firstKey / splitKeys, lastSplit = u.lastKey / splitKeys;
  const Scratch& room = c.room;
  for (int32_t split = firstSplit; split <= lastSplit; split++) {
    beginRows(c, count);
    const int32_t begin = split * splitKeys, end = least(u.lastKey, begin + splitKeys - 1);
    addSplit<K>(c, item, after, u.firstKey > begin ? u.firstKey : begin, end);
    if (firstSplit == lastSplit) break;
    for (int32_t r = 0; r < count; r++) {
      if (!sees(c.o, room.rows[r].position, split)) continue;
      Row& row = room.rows[r];
      if (split > firstSplit && sees(c.o, row.position, split - 1)) {
        merge(room.partials[r], row.merged, partialOf(row), row.values, width);
      } else {
        room.partials[r] = partialOf(row);
        float* values = row.values;
        row.values = row.merged;
        row.merged = values;
      }
    }
  }
  // Values stand in their place: those of a row's first split, to which the others are added.
  for (int32_t r = 0; r < count; r++) room.results.partial(at + r) = firstSplit == lastSplit ? partialOf(room.rows[r]) : room.partials[r];
}

/** One split of an item that is handed out so. */
template <KvFormat K>
void runSplit(const Context& c, const Item& item, const Item* after, int32_t at) {
  const int32_t count = (item.unit.end - item.unit.begin) * c.group;
  beginRows(c, count);
  addSplit<K>(c, item, after, item.unit.firstKey, item.unit.lastKey);
  for (int32_t r = 0; r < count; r++) c.room.results.partial(at + r) = partialOf(c.room.rows[r]);
}

template <KvFormat K>
void runItems(const Context& c, const int32_t* piece) {
  const int32_t begin = lookAt(piece), end = lookAt(piece + 1);
  // The first of the piece that follows counts too: most often the same thread's turn comes to it.
  const int32_t last = end < lookAt(piece + 2) ? end + 1 : end;
  Item item, after;
  bool more = begin < end && itemAt(c.work, *c.step.limits, c.o, begin, item);
  for (int32_t i = begin, at = 0; i < end && more; i++) {
    const int32_t count = (item.unit.end - item.unit.begin) * c.group;
    if (at + count > mostRows(c.o)) return;
    more = i + 1 < last && itemAt(c.work, *c.step.limits, c.o, i + 1, after);
    prepareRows(c, item, at);
    (item.unit.partial >= 0 ? runSplit<K> : runWhole<K>)(c, item, more ? &after : nullptr, at);
    at += count;
    item = after;
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

void commitAttention(const Step& s, const void* record, int32_t task, const uint8_t* scratch) {
  const auto& o = as<op::Attention>(record);
  // Queries are needed no more when a piece is committed.
  const Scratch room = scratchOf(o, const_cast<uint8_t*>(scratch));
  commitItems({s, o, reinterpret_cast<float*>(room.queries)}, workIn(s, o), task, room.results);
}

}  // namespace

extern const Kernel attention = {attentionTasks, runAttention, attentionScratch, attentionShared, commitAttention};

}  // namespace loquent::LOQUENT_ISA
