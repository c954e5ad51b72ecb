#include "panels.h"

#include <string.h>

#include "formats.h"

namespace loquent {

namespace {

/** One block of 32 as unsigned integers with its scales, however it was stored. */
struct Block {
  uint8_t integers[blockLength];
  /** The bytes that stand before the integers for this column: of the header, then of the block. */
  uint8_t header[groupHeaderBytes(Format::u4_row)], scales[4];
};

void nibbles(const uint8_t* low, uint8_t* to) {
  for (int i = 0; i < 16; i++) {
    to[i] = low[i] & 15;
    to[i + 16] = low[i] >> 4;
  }
}

void fifths(const uint8_t* bits, uint8_t* to) {
  for (int i = 0; i < 32; i++) to[i] = static_cast<uint8_t>(to[i] | (bits[i / 8] >> (i % 8) & 1) << 4);
}

void readQ345K(Format format, const uint8_t* b, int group, Block& to) {
  if (format == Format::q3_k) {
    const uint8_t* high = b;
    const uint8_t* low = b + 32 + group / 4 * 32;
    for (int i = 0; i < 32; i++) to.integers[i] = static_cast<uint8_t>((low[i] >> (group % 4 * 2) & 3) | (high[i] >> group & 1) << 2);
    memcpy(to.header, b + 108, 2);
    for (int h = 0; h < 2; h++) to.scales[h] = static_cast<uint8_t>(sixBitScale(b + 96, 2 * group + h));
    return;
  }
  memcpy(to.header, b, 4);
  int scale, minimum;
  scaleAndMinimum(b + 4, group, scale, minimum);
  to.scales[0] = static_cast<uint8_t>(scale);
  to.scales[1] = static_cast<uint8_t>(minimum);
  const bool five = format == Format::q5_k;
  const uint8_t* low = b + (five ? 48 : 16) + group / 2 * 32;
  for (int i = 0; i < 32; i++) {
    const int high = five ? (b[16 + i] >> group & 1) << 4 : 0;
    to.integers[i] = static_cast<uint8_t>((low[i] >> (group % 2 * 4) & 15) | high);
  }
}

void readQ6K(const uint8_t* b, int group, Block& to) {
  memcpy(to.header, b + 208, 2);
  memcpy(to.scales, b + 192 + 2 * group, 2);
  const uint8_t* low = b + group / 4 * 64 + group % 2 * 32;
  const uint8_t* high = b + 128 + group / 4 * 32;
  for (int i = 0; i < 32; i++) {
    to.integers[i] = static_cast<uint8_t>((low[i] >> (group % 4 / 2 * 4) & 15) | (high[i] >> (group % 4 * 2) & 3) << 4);
  }
}

void readQ2K(const uint8_t* b, int group, Block& to) {
  memcpy(to.header, b + 80, 4);
  for (int h = 0; h < 2; h++) {
    to.scales[h] = b[2 * group + h] & 15;
    to.scales[2 + h] = b[2 * group + h] >> 4;
  }
  for (int i = 0; i < 32; i++) to.integers[i] = b[16 + group / 4 * 32 + i] >> (group % 4 * 2) & 3;
}

/** Block `group` of a group whose scale is at `header`. */
void readGroup(Format format, const uint8_t* header, const uint8_t* integers, int group, Block& to) {
  memcpy(to.header, header, static_cast<size_t>(groupHeaderBytes(format)));
  const bool bytes = panelForm(format).integers == Integers::bytes;
  for (int i = 0; i < blockLength; i++) {
    const int at = blockLength * group + i;
    to.integers[i] = static_cast<uint8_t>(bytes ? integers[at] ^ 0x80 : nibbleAt(format, integers, at));
  }
}

/** Block `group` of the stored block `b`; a k-quant has 8 of them. */
void readBlock(Format format, const uint8_t* b, int group, Block& to) {
  switch (format) {
    case Format::q4_0:
    case Format::q4_1: {
      const int scales = format == Format::q4_0 ? 2 : 4;
      memcpy(to.scales, b, static_cast<size_t>(scales));
      return nibbles(b + scales, to.integers);
    }
    case Format::q5_0:
    case Format::q5_1: {
      const int scales = format == Format::q5_0 ? 2 : 4;
      memcpy(to.scales, b, static_cast<size_t>(scales));
      nibbles(b + scales + 4, to.integers);
      return fifths(b + scales, to.integers);
    }
    case Format::q2_k: return readQ2K(b, group, to);
    case Format::q6_k: return readQ6K(b, group, to);
    case Format::q8_0:
      memcpy(to.scales, b, 2);
      for (int i = 0; i < 32; i++) to.integers[i] = static_cast<uint8_t>(b[2 + i] ^ 0x80);
      return;
    default: return readQ345K(format, b, group, to);
  }
}

void put(uint8_t* to, uint32_t word) { memcpy(to, &word, 4); }

uint32_t four(const uint8_t* q) {
  uint32_t word;
  memcpy(&word, q, 4);
  return word;
}

/** Where the parts of one block begin. */
struct Parts {
  uint8_t *header, *scales, *integers;
};

Parts partsAt(Format format, uint8_t* panel, int64_t k) {
  const PanelForm form = panelForm(format);
  const int64_t header = headerBytes(form.scales), first = form.span ? k / form.span * form.span : header ? 0 : k;
  uint8_t* begin = panel + (first > 0 ? panelBytes(format, first) : form.table);
  uint8_t* scales = begin + header + (k - first) / blockLength * blockBytes(form);
  return {begin, scales, scales + scaleBytes(form.scales)};
}

void putCodes(const uint8_t* q, uint8_t* to, int64_t n) {
  for (int j = 0; j < 4; j++) {
    uint32_t word = 0;
    for (int i = 0; i < 8; i++) word |= static_cast<uint32_t>(q[8 * j + i]) << 4 * i;
    put(to + (j * panelColumns + n) * 4, word);
  }
}

void writeBlock(Format format, const Block& from, uint8_t* panel, int64_t k, int64_t n) {
  constexpr int64_t P = panelColumns;
  const PanelForm form = panelForm(format);
  const Parts at = partsAt(format, panel, k);
  const uint8_t* q = from.integers;
  switch (form.scales) {
    case Scales::minimum: memcpy(at.scales + 2 * (P + n), from.scales + 2, 2); [[fallthrough]];
    case Scales::half: memcpy(at.scales + 2 * n, from.scales, 2); break;
    case Scales::super: memcpy(at.header + 2 * (P + n), from.header + 2, 2); [[fallthrough]];
    case Scales::super16:
      memcpy(at.header + 2 * n, from.header, 2);
      at.scales[n] = from.scales[0];
      at.scales[P + n] = from.scales[1];
      break;
    case Scales::super16min:
      memcpy(at.header + 2 * n, from.header, 2);
      memcpy(at.header + 2 * (P + n), from.header + 2, 2);
      for (int i = 0; i < 4; i++) at.scales[i * P + n] = from.scales[i];
      break;
    case Scales::zero: at.header[4 * P + n] = static_cast<uint8_t>((1 << form.offsetBits) - from.header[4]); [[fallthrough]];
    case Scales::group: memcpy(at.header + 4 * n, from.header, 4);
  }
  if (form.integers == Integers::codes) return putCodes(q, at.integers, n);
  if (form.integers == Integers::bytes) {
    for (int g = 0; g < 8; g++) put(at.integers + (g * P + n) * 4, four(q + 4 * g));
    return;
  }
  for (int j = 0; j < 4; j++) put(at.integers + (j * P + n) * 4, (four(q + 8 * j) & 0x0f0f0f0f) | (four(q + 8 * j + 4) & 0x0f0f0f0f) << 4);
  if (form.integers == Integers::nibbles) return;
  for (int h = 0; h < 2; h++) {
    uint32_t pairs = 0;
    for (int g = 0; g < 4; g++) pairs |= (four(q + 16 * h + 4 * g) >> 4 & 0x03030303) << (2 * g);
    put(at.integers + ((4 + h) * P + n) * 4, pairs);
  }
}

/** Integer `i` of a block. */
int integerAt(Integers form, const uint8_t* at, int64_t n, int i) {
  constexpr int64_t P = panelColumns;
  if (form == Integers::bytes) return at[(i / 4 * P + n) * 4 + i % 4];
  if (form == Integers::codes) return at[(i / 8 * P + n) * 4 + i % 8 / 2] >> (i % 2 * 4) & 15;
  const int low = at[(i / 8 * P + n) * 4 + i % 4] >> (i % 8 / 4 * 4) & 15;
  if (form == Integers::nibbles) return low;
  return low | (at[((4 + i / 16) * P + n) * 4 + i % 4] >> (i % 16 / 4 * 2) & 3) << 4;
}

float halfAt(const uint8_t* p) { return halfToFloat(static_cast<uint16_t>(p[0] | p[1] << 8)); }

float floatAt(const uint8_t* p) {
  float f;
  memcpy(&f, p, 4);
  return f;
}

float codeOf(Format format, const uint8_t* panel, int code) {
  const float* known = codeTable(format);
  return known ? known[code] : floatAt(panel + 4 * code);
}

void unpackBlock(Format format, const uint8_t* panel, int64_t k, int64_t n, float* to) {
  constexpr int64_t P = panelColumns;
  const PanelForm form = panelForm(format);
  const Parts at = partsAt(format, const_cast<uint8_t*>(panel), k);
  const int offset = form.offsetBits < 0 ? 0 : 1 << form.offsetBits;
  for (int i = 0; i < blockLength; i++) {
    const float q = static_cast<float>(integerAt(form.integers, at.integers, n, i) - offset);
    switch (form.scales) {
      case Scales::half: to[i] = q * halfAt(at.scales + 2 * n); break;
      case Scales::minimum: to[i] = q * halfAt(at.scales + 2 * n) + halfAt(at.scales + 2 * (P + n)); break;
      case Scales::super:
        to[i] = halfAt(at.header + 2 * n) * at.scales[n] * q - halfAt(at.header + 2 * (P + n)) * at.scales[P + n];
        break;
      case Scales::super16min:
        to[i] = halfAt(at.header + 2 * n) * at.scales[i / 16 * P + n] * q - halfAt(at.header + 2 * (P + n)) * at.scales[(2 + i / 16) * P + n];
        break;
      case Scales::super16: to[i] = halfAt(at.header + 2 * n) * static_cast<int8_t>(at.scales[i / 16 * P + n]) * q; break;
      case Scales::zero: to[i] = (q + at.header[4 * P + n]) * floatAt(at.header + 4 * n); break;
      case Scales::group:
        to[i] = floatAt(at.header + 4 * n) * (form.integers == Integers::codes ? codeOf(format, panel, static_cast<int>(q)) : q);
    }
  }
}

}  // namespace

void packColumn(Format format, const uint8_t* row, const uint8_t* stored, int64_t count, uint8_t* panel, int64_t k, int64_t within) {
  const int64_t size = format == Format::f32 ? 4 : 2;
  if (!quantized(format)) {
    const bool pairs = format == Format::bf16;
    for (int64_t i = 0; i < count; i++) {
      const int64_t at = pairs ? ((k + i) / 2 * panelColumns + within) * 2 + (k + i) % 2 : (k + i) * panelColumns + within;
      memcpy(panel + at * size, stored + i * size, static_cast<size_t>(size));
    }
    // The second of the last pair is multiplied too.
    if (pairs && count % 2) memset(panel + (((k + count) / 2 * panelColumns + within) * 2 + 1) * 2, 0, 2);
    return;
  }
  const FormatShape& shape = formatShapes[static_cast<int>(format)];
  memcpy(panel, row, static_cast<size_t>(panelForm(format).table));
  Block block;
  for (int64_t i = 0; i < count; i += blockLength) {
    const uint8_t* b = stored + i / shape.elementsPerBlock * shape.bytesPerBlock;
    const int group = static_cast<int>(i % shape.elementsPerBlock / blockLength);
    if (grouped(format)) {
      readGroup(format, rowIsGroup(format) ? row : b, rowIsGroup(format) ? b : b + groupHeaderBytes(format), group, block);
    } else {
      readBlock(format, b, group, block);
    }
    writeBlock(format, block, panel, k + i, within);
  }
}

void unpackColumn(Format format, const uint8_t* panel, int64_t length, int64_t within, float* to) {
  if (quantized(format)) {
    for (int64_t k = 0; k < length; k += blockLength) unpackBlock(format, panel, k, within, to + k);
    return;
  }
  const int64_t size = format == Format::f32 ? 4 : 2;
  for (int64_t k = 0; k < length; k++) {
    const int64_t at = format == Format::bf16 ? (k / 2 * panelColumns + within) * 2 + k % 2 : k * panelColumns + within;
    decode(format, panel + at * size, to + k, 1);
  }
}

}  // namespace loquent
