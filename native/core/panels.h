// Panels: the packed form of a matrix that `linear` multiplies by. 32 rows of the weight (output columns) side by side,
// so that a vector holds columns and k is walked from its beginning to its end; the columns past the last are zero.
//
//   f32, f16   [K][32]
//   bf16       [K / 2, rounded up][32][2]: pairs along k, as a dot product of bfloat16 takes them
//   quantized  blocks of 32 along k, below. k-quants have a header before every 8 blocks (256 columns of k).
//
//   header      super     half d[32], half dmin[32]
//               super16   half d[32]
//   block       half      half scale[32]
//               minimum   half scale[32], half minimum[32]
//               super     byte scale[32], byte minimum[32]
//               super16   signed byte scale[2][32], for 16 columns of k each
//   integers,   bytes     [8][32][4]: four along k, as a dot product of bytes takes them
//   unsigned    nibbles   [4][32][4]: k of 0 to 3 in the low nibbles, of 4 to 7 in the high ones
//               six       nibbles as above, then [2][32][4]: bit pair g of a byte belongs to the g-th four of 16
//
// A weight is scale * (integer - offset), or scale * integer + minimum, for super scale * integer - minimum.
#pragma once
#include <stdint.h>

#include "../gen/ops.h"
#include "kernel.h"

namespace loquent {

enum class Integers { bytes, nibbles, six };
enum class Scales { half, minimum, super, super16 };

/** How the panels of a quantized format are made up. */
struct PanelForm {
  Integers integers;
  Scales scales;
  /** Offset of the integers: 1 << offsetBits, or none where negative. */
  int offsetBits;
};

constexpr bool quantized(Format f) { return static_cast<int>(f) >= static_cast<int>(Format::q8_0); }

constexpr PanelForm panelForm(Format f) {
  switch (f) {
    case Format::q4_0: return {Integers::nibbles, Scales::half, 3};
    case Format::q4_1: return {Integers::nibbles, Scales::minimum, -1};
    case Format::q5_0: return {Integers::bytes, Scales::half, 4};
    case Format::q5_1: return {Integers::bytes, Scales::minimum, -1};
    case Format::q3_k: return {Integers::nibbles, Scales::super16, 2};
    case Format::q4_k: return {Integers::nibbles, Scales::super, -1};
    case Format::q5_k: return {Integers::bytes, Scales::super, -1};
    case Format::q6_k: return {Integers::six, Scales::super16, 5};
    default: return {Integers::bytes, Scales::half, 7};
  }
}

/** Columns of k in a block and in a superblock. */
constexpr int32_t blockLength = 32, superLength = 256;

constexpr int64_t integerBytes(Integers i) {
  return panelColumns * (i == Integers::bytes ? 32 : i == Integers::nibbles ? 16 : 24);
}
constexpr int64_t scaleBytes(Scales s) { return panelColumns * (s == Scales::minimum ? 4 : 2); }
constexpr int64_t headerBytes(Scales s) { return panelColumns * (s == Scales::super ? 4 : s == Scales::super16 ? 2 : 0); }
constexpr int64_t blockBytes(PanelForm f) { return scaleBytes(f.scales) + integerBytes(f.integers); }

/** Bytes of the first `k` columns of a panel: whole pairs, blocks or superblocks, but at the end of a matrix. */
constexpr int64_t panelBytes(Format f, int64_t k) {
  if (f == Format::f32) return k * panelColumns * 4;
  if (f == Format::f16) return k * panelColumns * 2;
  if (f == Format::bf16) return (k + 1) / 2 * panelColumns * 4;
  const PanelForm form = panelForm(f);
  return k / superLength * headerBytes(form.scales) + k / blockLength * blockBytes(form);
}

/** Whether there are panels of a format: all but q2_k. */
constexpr bool hasPanels(Format f) { return f != Format::q2_k; }

/** What x is rounded to before it is multiplied by a weight of this format; the twin of the cpu backend's storage.ts. */
constexpr Format inputFormat(Format f) {
  return f == Format::bf16 ? Format::bf16 : quantized(f) ? Format::q8_0 : Format::f32;
}

/** A block of an encoded row: signed bytes, scale, minus 8 and 128 times its sum, minus the sums of its halves, scale times sum. */
constexpr int64_t encodedBlockBytes = 56;
/** Bytes of a row that `encode` made; its layout is in src/ops/encoding.ts. */
constexpr int64_t encodedBytes(Format f, int64_t width) {
  return f == Format::bf16 ? (width + 1) / 2 * 4 : width / blockLength * encodedBlockBytes;
}

/** Puts `count` elements, stored as `format`, into column `within` of a panel from column `k` of k on. */
void packColumn(Format format, const uint8_t* stored, int64_t count, uint8_t* panel, int64_t k, int64_t within);
/** Reads column `within` of a panel of `length` columns of k. */
void unpackColumn(Format format, const uint8_t* panel, int64_t length, int64_t within, float* to);

}  // namespace loquent
