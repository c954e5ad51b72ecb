// Storage formats: from stored blocks to float32, and back for those that kernels multiply from.
// The C++ twin of src/tensor/dequantize.ts.
#pragma once
#include <stdint.h>

#include "../gen/ops.h"

namespace loquent {

/** Every block length divides this, so that rows can be converted in pieces of it. */
constexpr int64_t formatPiece = 256;

/** Six-bit scale and minimum of the group `j` of a q4_k or q5_k block, from its 12 bytes of them. */
void scaleAndMinimum(const uint8_t* scales, int j, int& scale, int& minimum);
/** Signed scale `j` of a q3_k block, from its 12 bytes of them. */
int sixBitScale(const uint8_t* scales, int j);

float halfToFloat(uint16_t half);
uint16_t floatToHalf(float value);
uint16_t floatToBrain(float value);

/** Formats of groups with a float32 scale, which are ours; see src/tensor/format.ts. */
constexpr bool grouped(Format format) { return static_cast<int32_t>(format) >= static_cast<int32_t>(Format::i8_row); }
/** What the codes of nf4 or fp4 stand for; null where a row brings its table. */
const float* codeTable(Format format);
constexpr int32_t tableLength = 16;
/** Whether a row is one group, with its scale before the first block. */
constexpr bool rowIsGroup(Format format) { return format == Format::i8_row || format == Format::u4_row; }
/** Element `i` of the pairs of nibbles at `pairs`. */
int nibbleAt(Format format, const uint8_t* pairs, int64_t i);
/** Bytes of scale and zero before the integers of a group. */
constexpr int64_t groupHeaderBytes(Format format) {
  return format >= Format::u4_row && format <= Format::u4_32 ? 5 : 4;
}

/** Bytes of a row of `elements` elements, which are whole blocks. */
int64_t formatBytes(Format format, int64_t elements);
/** Where element `k` of a row, the first of a block, begins. */
int64_t formatOffset(Format format, int64_t k);
/** Decodes a row of `elements` elements that begins at `from`. */
void decode(Format format, const uint8_t* from, float* to, int64_t elements);
/** Decodes elements `[k, k + count)`, whole blocks, of a row. */
void decodePiece(Format format, const uint8_t* row, int64_t k, int64_t count, float* to);
/** True for f32, f16, bf16 and q8_0. */
bool encodable(Format format);
/** Encodes `elements` elements (whole blocks) in a format without anything before a row's blocks. */
void encode(Format format, const float* from, uint8_t* to, int64_t elements);

}  // namespace loquent
