// Panels: the packed form of a matrix that `linear` multiplies by. 32 rows of the weight (output columns) side by side,
// so that a vector holds columns and k is walked from its beginning to its end; the columns past the last are zero.
//
//   f32, f16   [K][32]
//   bf16       [K / 2, rounded up][32][2]: pairs along k, as a dot product of bfloat16 takes them
//   lut4       float table[16], of all columns; then as the other quantized ones
//   quantized  blocks of 32 along k, below. k-quants have a header before every 8 blocks (256 columns of k), formats of
//              groups before every group, or once where the row is one.
//
//   header      super, super16min  half d[32], half dmin[32]
//               super16   half d[32]
//               group     float scale[32]
//               zero      float scale[32], byte 16 - zero[32], 32 bytes of nothing
//   block       half      half scale[32]
//               minimum   half scale[32], half minimum[32]
//               super     byte scale[32], byte minimum[32]
//               super16   signed byte scale[2][32], for 16 columns of k each
//               super16min  the same, then byte minimum[2][32]
//   integers,   bytes     [8][32][4]: four along k, as a dot product of bytes takes them
//   unsigned    nibbles   [4][32][4]: k of 0 to 3 in the low nibbles, of 4 to 7 in the high ones
//               six       nibbles as above, then [2][32][4]: bit pair g of a byte belongs to the g-th four of 16
//               codes     [4][32] words of 8 along k, the first in the lowest bits
//
// A weight is scale * (integer - offset), or scale * integer + minimum, for super and super16min scale * integer - minimum, for zero
// scale * (integer + byte - offset), for codes scale * table[code].
#pragma once
#include <stdint.h>

#include "../gen/ops.h"
#include "kernel.h"

namespace loquent {

enum class Integers { bytes, nibbles, six, codes };
enum class Scales { half, minimum, super, super16, super16min, group, zero };

/** How the panels of a quantized format are made up. */
struct PanelForm {
  Integers integers;
  Scales scales;
  /** Offset of the integers: 1 << offsetBits, or none where negative. */
  int offsetBits;
  /** Columns of k that a header serves; 0: there is none, or it serves the whole row (see `wholeRow`). */
  int32_t span = 0;
  /** Bytes before everything else. */
  int32_t table = 0;
};

/** Columns of k in a block and in a superblock. */
constexpr int32_t blockLength = 32, superLength = 256;

constexpr bool quantized(Format f) { return static_cast<int>(f) >= static_cast<int>(Format::q8_0); }

constexpr PanelForm panelForm(Format f) {
  switch (f) {
    case Format::q4_0: return {Integers::nibbles, Scales::half, 3};
    case Format::q4_1: return {Integers::nibbles, Scales::minimum, -1};
    case Format::q5_0: return {Integers::bytes, Scales::half, 4};
    case Format::q5_1: return {Integers::bytes, Scales::minimum, -1};
    case Format::q2_k: return {Integers::nibbles, Scales::super16min, -1, superLength};
    case Format::q3_k: return {Integers::nibbles, Scales::super16, 2, superLength};
    case Format::q4_k: return {Integers::nibbles, Scales::super, -1, superLength};
    case Format::q5_k: return {Integers::bytes, Scales::super, -1, superLength};
    case Format::q6_k: return {Integers::six, Scales::super16, 5, superLength};
    case Format::i8_row: return {Integers::bytes, Scales::group, 7};
    case Format::i8_128: return {Integers::bytes, Scales::group, 7, 128};
    case Format::i8_64: return {Integers::bytes, Scales::group, 7, 64};
    case Format::i8_32: return {Integers::bytes, Scales::group, 7, 32};
    case Format::u4_row: return {Integers::nibbles, Scales::zero, 4};
    case Format::u4_128: return {Integers::nibbles, Scales::zero, 4, 128};
    case Format::u4_64: return {Integers::nibbles, Scales::zero, 4, 64};
    case Format::u4_32: return {Integers::nibbles, Scales::zero, 4, 32};
    case Format::nf4:
    case Format::fp4: return {Integers::codes, Scales::group, -1, 64};
    case Format::lut4: return {Integers::codes, Scales::group, -1, 64, 64};
    default: return {Integers::bytes, Scales::half, 7};
  }
}

constexpr int64_t integerBytes(Integers i) {
  return panelColumns * (i == Integers::bytes ? 32 : i == Integers::six ? 24 : 16);
}
constexpr int64_t scaleBytes(Scales s) {
  if (s == Scales::group || s == Scales::zero) return 0;
  return panelColumns * (s == Scales::minimum || s == Scales::super16min ? 4 : 2);
}
constexpr int64_t headerBytes(Scales s) {
  switch (s) {
    case Scales::super:
    case Scales::super16min:
    case Scales::group: return panelColumns * 4;
    case Scales::super16: return panelColumns * 2;
    case Scales::zero: return panelColumns * 6;
    default: return 0;
  }
}
constexpr int64_t blockBytes(PanelForm f) { return scaleBytes(f.scales) + integerBytes(f.integers); }
/** Whether one header serves all of k. */
constexpr bool wholeRow(PanelForm f) { return f.span == 0 && headerBytes(f.scales) > 0; }

/** Bytes of the first `k` columns of a panel: whole pairs or blocks, but at the end of a matrix. */
constexpr int64_t panelBytes(Format f, int64_t k) {
  if (f == Format::f32) return k * panelColumns * 4;
  if (f == Format::f16) return k * panelColumns * 2;
  if (f == Format::bf16) return (k + 1) / 2 * panelColumns * 4;
  const PanelForm form = panelForm(f);
  const int64_t headers = form.span ? (k + form.span - 1) / form.span : k > 0;
  return (k > 0 ? form.table : 0) + headers * headerBytes(form.scales) + k / blockLength * blockBytes(form);
}

/** What x is rounded to before it is multiplied by a weight of this format; the twin of the cpu backend's storage.ts. */
constexpr Format inputFormat(Format f) {
  if (f == Format::bf16) return f;
  return quantized(f) && panelForm(f).integers != Integers::codes ? Format::q8_0 : Format::f32;
}

/**
 * A block of an encoded row: signed bytes, of which each is a multiple of a scale that is two or three times a power of two, and
 * what the tiles begin and end a block with. A sum of products begins at the bits of `zero`, 1.5 * 2^23 times that power: so its bits are
 * a float that is the power times the sum greater than `zero`, for any sum of less than 22 bits, and nothing is converted or
 * multiplied. Two or three is left, which is a choice between multiples of the weight's scale.
 */
struct EncodedBlock {
  int8_t integers[32];
  float zero;
  /** The bits of `zero`, minus 8 and 128 times the sum of the integers: for weights whose integers have an offset. */
  int32_t zeroMinus8Sum, zeroMinus128Sum;
  int32_t minusHalfSums[2];
  /** Scale times sum. */
  float scaledSum;
  /** Which of the multiples, in bytes of a panel's columns of float32; and the multiple. */
  int32_t choice;
  float multiple;
};
constexpr int64_t encodedBlockBytes = sizeof(EncodedBlock);
static_assert(encodedBlockBytes == 64, "the twin of src/ops/encoding.ts");
/** Bytes of a row that `encode` made; its layout is in src/ops/encoding.ts. */
constexpr int64_t encodedBytes(Format f, int64_t width) {
  return f == Format::bf16 ? (width + 1) / 2 * 4 : width / blockLength * encodedBlockBytes;
}

/**
 * Puts `count` elements, stored as `format` at `stored`, into column `within` of a panel from column `k` of k on. `row` is
 * where their row begins, for formats that have something there.
 */
void packColumn(Format format, const uint8_t* row, const uint8_t* stored, int64_t count, uint8_t* panel, int64_t k, int64_t within);
/** Reads column `within` of a panel of `length` columns of k. */
void unpackColumn(Format format, const uint8_t* panel, int64_t length, int64_t within, float* to);

}  // namespace loquent
