// writeKv: keys and values of a step into the paged cache, rotated and rounded to what it keeps. Twin: backends/reference.
#include <math.h>

#include "keys.h"
#include "rotation.h"

namespace loquent::LOQUENT_ISA {
namespace {

/** Scale of a row: its greatest magnitude over 127, not a number where that is not finite. */
float scaleOf(const float* x, int32_t count) {
  float greatest = 0;
  bool finite = true;
  for (int32_t i = 0; i < count; i++) {
    const float m = fabsf(x[i]);
    finite = finite && m < INFINITY;
    greatest = m > greatest ? m : greatest;
  }
  return finite ? greatest / 127.0f : NAN;
}

/** A multiple of the scale: nearest, ties to even, by adding 1.5 * 2^23. */
LOQUENT_INLINE int8_t multipleOf(float x, float inverse) {
  constexpr float magic = 12582912.0f;
  return static_cast<int8_t>(static_cast<int32_t>(x * inverse + magic - magic));
}

/** A scale below the normal floats has no inverse. */
LOQUENT_INLINE float inverseOf(float scale) { return scale >= 0x1p-126f ? 1.0f / scale : 0.0f; }

/** Where a slot lies: its block, and which of its keys it is. */
struct Slot {
  uint8_t* head;
  int32_t key;
};

void writeFloats(const HeadLayout& l, Slot s, const float* k, const float* v, int32_t headDim) {
  float* keys = reinterpret_cast<float*>(s.head);
  for (int32_t d = 0; d < headDim; d++) keys[d * keyTile + s.key] = k[d];
  memcpy(s.head + l.values + static_cast<int64_t>(s.key) * padded(headDim) * 4, v, static_cast<size_t>(headDim) * 4);
}

void writeBytes(const HeadLayout& l, Slot s, const float* k, const float* v, int32_t headDim) {
  const float keyScale = scaleOf(k, headDim), valueScale = scaleOf(v, headDim);
  const float keyInverse = inverseOf(keyScale), valueInverse = inverseOf(valueScale);
  int8_t* keys = reinterpret_cast<int8_t*>(s.head) + 2 * s.key;
  for (int32_t d = 0; d < headDim; d++) keys[d / 2 * keyTile * 2 + d % 2] = multipleOf(k[d], keyInverse);
  if (headDim % 2) keys[headDim / 2 * keyTile * 2 + 1] = 0;
  int8_t* values = reinterpret_cast<int8_t*>(s.head + l.values) + s.key / 2 * padded(headDim) * 2 + s.key % 2;
  for (int32_t d = 0; d < headDim; d++) values[2 * d] = multipleOf(v[d], valueInverse);
  reinterpret_cast<float*>(s.head + l.keyScales)[s.key] = keyScale;
  reinterpret_cast<float*>(s.head + l.valueScales)[s.key] = valueScale;
}

/** 16 brain floats, each in the low half of a word. The same conversion whoever else is written, so that a key has the same bits. */
LOQUENT_INLINE Words halvesOf(F x) {
#if defined(__AVX512BF16__)
  Words w;
  w.v[0] = (VI)_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(x.v[0]));
  return w;
#else
  float f[16];
  uint32_t u[16];
  storeF(f, x);
  for (int i = 0; i < 16; i++) u[i] = brainOf(f[i]);
  return loadWords(reinterpret_cast<const uint8_t*>(u));
#endif
}

/** A key's words, two dimensions each, of which there is room for `padded(headDim) / 2`. */
void pairUp(const float* k, int32_t headDim, uint32_t* words) {
  int32_t d = 0;
  for (; d < headDim; d += 16) {
    const Words w = halvesOf(loadUpTo(k + d, least(16, headDim - d)));
    uint32_t t[16];
    memcpy(t, &w, sizeof t);
    for (int i = 0; i < 8; i++) words[d / 2 + i] = t[2 * i] | t[2 * i + 1] << 16;
  }
}

void writeKey(uint8_t* head, int32_t key, const uint32_t* words, int32_t headDim) {
  uint32_t* keys = reinterpret_cast<uint32_t*>(head) + key;
  for (int32_t w = 0; 2 * w < headDim; w++) keys[w * keyTile] = words[w];
}

/** Sixteen keys at once, `stride` words apart: whole lines of the block. */
void writeKeys(uint8_t* head, const uint32_t* words, int32_t stride, int32_t headDim) {
  uint32_t* keys = reinterpret_cast<uint32_t*>(head);
  const int32_t count = (headDim + 1) / 2;
  int32_t w = 0;
#if defined(__AVX512F__)
  for (; w + 16 <= count; w += 16) {
    __m512i a[16], b[16];
    for (int i = 0; i < 16; i++) a[i] = _mm512_loadu_si512(words + i * stride + w);
    for (int i = 0; i < 16; i += 2) {
      b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
      b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
      a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
      a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
      a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
      a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
      b[i] = _mm512_shuffle_i32x4(a[i], a[i + 4], 0x88);
      b[i + 4] = _mm512_shuffle_i32x4(a[i], a[i + 4], 0xdd);
      b[i + 8] = _mm512_shuffle_i32x4(a[i + 8], a[i + 12], 0x88);
      b[i + 12] = _mm512_shuffle_i32x4(a[i + 8], a[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
      _mm512_storeu_si512(keys + (w + i) * keyTile, _mm512_shuffle_i32x4(b[i], b[i + 8], 0x88));
      _mm512_storeu_si512(keys + (w + i + 8) * keyTile, _mm512_shuffle_i32x4(b[i], b[i + 8], 0xdd));
      _mm512_storeu_si512(keys + (w + i + 4) * keyTile, _mm512_shuffle_i32x4(b[i + 4], b[i + 12], 0x88));
      _mm512_storeu_si512(keys + (w + i + 12) * keyTile, _mm512_shuffle_i32x4(b[i + 4], b[i + 12], 0xdd));
    }
  }
#endif
  for (; w < count; w++) {
    for (int32_t i = 0; i < keyTile; i++) keys[w * keyTile + i] = words[i * stride + w];
  }
}

// Two keys share the words of their values.

/** The other key's half stays: nobody else may be writing it. */
void writeValue(uint8_t* values, int32_t key, const float* v, int32_t headDim) {
  uint8_t* to = values + static_cast<int64_t>(key / 2) * padded(headDim) * 4;
  for (int32_t d = 0; d < headDim; d += 16) {
    Words w = halvesOf(loadUpTo(v + d, least(16, headDim - d)));
    const Words before = loadWords(to + 4 * d) & splatWords(key % 2 ? 0x0000ffff : 0xffff0000);
    for (int i = 0; i < parts; i++) w.v[i] = (key % 2 ? w.v[i] << 16 : w.v[i]) | before.v[i];
    memcpy(to + 4 * d, &w, sizeof w);
  }
}

/** Where another thread may be writing the other key: stores of this one's halves only. */
void writeHalves(uint8_t* values, int32_t key, const float* v, int32_t headDim) {
  uint16_t* to = reinterpret_cast<uint16_t*>(values) + static_cast<int64_t>(key / 2) * padded(headDim) * 2 + key % 2;
  for (int32_t d = 0; d < headDim; d += 16) {
    const int32_t some = least(16, headDim - d);
    const Words w = halvesOf(loadSome(v + d, some));
    uint32_t t[16];
    memcpy(t, &w, sizeof t);
    for (int32_t i = 0; i < some; i++) to[2 * (d + i)] = static_cast<uint16_t>(t[i]);
  }
}

/** The values of keys 2 * `pair` and the one after. */
void writeValues(uint8_t* values, int32_t pair, const float* first, const float* second, int32_t headDim) {
  uint8_t* to = values + static_cast<int64_t>(pair) * padded(headDim) * 4;
  for (int32_t d = 0; d < headDim; d += 16) {
    const int32_t some = least(16, headDim - d);
    Words w = halvesOf(loadUpTo(first + d, some));
    const Words high = halvesOf(loadUpTo(second + d, some));
    for (int i = 0; i < parts; i++) w.v[i] = w.v[i] | high.v[i] << 16;
    memcpy(to + 4 * d, &w, sizeof w);
  }
}

struct Context {
  const Step& s;
  const op::WriteKv& o;
  const Cache& cache;
  HeadLayout layout;
  const int32_t* slots;
  /** Sixteen keys as words, and one rotated. */
  uint32_t* words;
  float* rotated;

  uint8_t* headOf(int32_t row, int32_t h) const {
    return cache.base + static_cast<int64_t>(slots[row] / keyTile) * cache.blockBytes + h * layout.bytes;
  }
  const float* keyOf(int32_t row, int32_t h) const {
    const float* k = rowOf(s, o.k, row) + h * o.headDim;
    if (o.table.space == 0) return k;
    rotateHead(o.style, k, rowOf(s, o.table, row), o.table.width / 2, rotated, o.headDim);
    return rotated;
  }
  const float* valueOf(int32_t row, int32_t h) const { return rowOf(s, o.v, row) + h * o.headDim; }
  /** Whether `row` and the one after, both of this step, are two keys that share words. */
  bool pairs(int32_t row) const {
    return row >= 0 && row + 1 < rowsOf(s, o.k) && slots[row] % 2 == 0 && slots[row + 1] == slots[row] + 1;
  }
};

void writeWhole(const Context& c, int32_t row) {
  const auto write = c.cache.format == KvFormat::f32 ? writeFloats : writeBytes;
  for (int32_t h = 0; h < c.o.kvHeads; h++) {
    write(c.layout, {c.headOf(row, h), c.slots[row] % keyTile}, c.keyOf(row, h), c.valueOf(row, h), c.o.headDim);
  }
}

/** A row of bf16. The key that shares the words of its values is written with it, unless that is in another thread's piece. */
void writeRow(const Context& c, int32_t row, Rows piece) {
  const int32_t key = c.slots[row] % keyTile;
  const bool first = c.pairs(row), second = c.pairs(row - 1);
  for (int32_t h = 0; h < c.o.kvHeads; h++) {
    uint8_t* head = c.headOf(row, h);
    pairUp(c.keyOf(row, h), c.o.headDim, c.words);
    writeKey(head, key, c.words, c.o.headDim);
    uint8_t* values = head + c.layout.values;
    if (first && row + 1 < piece.end) {
      writeValues(values, key / 2, c.valueOf(row, h), c.valueOf(row + 1, h), c.o.headDim);
    } else if (first || (second && row == piece.begin)) {
      writeHalves(values, key, c.valueOf(row, h), c.o.headDim);
    } else if (!second) {
      writeValue(values, key, c.valueOf(row, h), c.o.headDim);
    }
  }
}

/** A whole block of bf16. */
void writeBlock(const Context& c, int32_t row) {
  const int32_t stride = padded(c.o.headDim);
  for (int32_t h = 0; h < c.o.kvHeads; h++) {
    uint8_t* head = c.headOf(row, h);
    for (int32_t i = 0; i < keyTile; i++) pairUp(c.keyOf(row + i, h), c.o.headDim, c.words + i * stride);
    writeKeys(head, c.words, stride, c.o.headDim);
    for (int32_t i = 0; i < keyTile; i += 2) {
      writeValues(head + c.layout.values, i / 2, c.valueOf(row + i, h), c.valueOf(row + i + 1, h), c.o.headDim);
    }
  }
}

/** Asks for the lines that a row will write: a key is spread over a whole block, and no processor guesses that. */
void fetchRow(const Context& c, int32_t row) {
  const int32_t key = c.slots[row] % keyTile;
  const int64_t keys = c.layout.values, wide = padded(c.o.headDim) * (c.cache.format == KvFormat::int8 ? 2 : 4);
  const int64_t values = keys + (c.cache.format == KvFormat::f32 ? key : key / 2) * wide;
  for (int32_t h = 0; h < c.o.kvHeads; h++) {
    const uint8_t* head = c.headOf(row, h);
    for (int64_t at = 0; at < keys; at += lineBytes) __builtin_prefetch(head + at, 1);
    for (int64_t at = 0; at < wide; at += lineBytes) __builtin_prefetch(head + values + at, 1);
  }
}

/** Rows of a piece: a block of keys, or where there are fewer rows than that for every thread, some. */
int32_t rowsOfPiece(const Step& s, const op::WriteKv& o) {
  constexpr int32_t least = 4, perThread = 2;
  const int32_t fair = ceilDiv(rowsOf(s, o.k), s.threads * perThread);
  return fair < least ? least : fair < keyTile ? fair : fair / keyTile * keyTile;
}

int32_t writeTasks(const Step& s, const void* record) {
  const auto& o = as<op::WriteKv>(record);
  return ceilDiv(rowsOf(s, o.k), rowsOfPiece(s, o));
}

void runWrite(const Step& s, const void* record, int32_t task, uint8_t* scratch) {
  const auto& o = as<op::WriteKv>(record);
  const Cache& cache = s.caches[o.layer];
  auto* words = reinterpret_cast<uint32_t*>(scratch);
  const Context c = {s,     o,
                     cache, headLayout(cache.format, cache.headDim),
                     ints(s, Field::slots), words,
                     reinterpret_cast<float*>(words + keyTile * padded(o.headDim))};
  const int32_t size = rowsOfPiece(s, o);
  const Rows piece = {task * size, least((task + 1) * size, rowsOf(s, o.k))};
  const auto isBlock = [&](int32_t row) {
    if (cache.format != KvFormat::bf16 || c.slots[row] % keyTile != 0 || row + keyTile > piece.end) return false;
    for (int32_t i = 1; i < keyTile; i++) {
      if (c.slots[row + i] != c.slots[row] + i) return false;
    }
    return true;
  };
  // The row after the piece is most often the same thread's too.
  const auto fetch = [&](int32_t row) {
    if (row < rowsOf(s, o.k) && c.slots[row] / keyTile != c.slots[row - 1] / keyTile) fetchRow(c, row);
  };
  for (int32_t row = piece.begin; row < piece.end;) {
    if (isBlock(row)) {
      writeBlock(c, row);
      row += keyTile;
      continue;
    }
    fetch(row + 1);
    if (cache.format == KvFormat::bf16) {
      writeRow(c, row, piece);
    } else {
      writeWhole(c, row);
    }
    row++;
  }
}

size_t writeScratch(const Limits&, const void* record) {
  return static_cast<size_t>(keyTile + 1) * static_cast<size_t>(padded(as<op::WriteKv>(record).headDim)) * 4;
}

}  // namespace

extern const Kernel writeKv = {writeTasks, runWrite, writeScratch};

}  // namespace loquent::LOQUENT_ISA
