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

/** Bytes of `elements` elements, which are whole blocks. */
int64_t formatBytes(Format format, int64_t elements);
/** Decodes `elements` elements (whole blocks) that begin at `from`. */
void decode(Format format, const uint8_t* from, float* to, int64_t elements);
/** True for f32, f16, bf16 and q8_0. */
bool encodable(Format format);
/** Encodes `elements` elements (whole blocks). */
void encode(Format format, const float* from, uint8_t* to, int64_t elements);

}  // namespace loquent
