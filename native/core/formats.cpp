#include "formats.h"

#include <math.h>
#include <string.h>

namespace loquent {

void scaleAndMinimum(const uint8_t* s, int j, int& scale, int& minimum) {
  if (j < 4) {
    scale = s[j] & 63;
    minimum = s[j + 4] & 63;
  } else {
    scale = (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
    minimum = s[j + 4] >> 4 | s[j] >> 6 << 4;
  }
}

int sixBitScale(const uint8_t* packed, int j) {
  const int four = j < 8 ? packed[j] & 15 : packed[j - 8] >> 4;
  const int two = packed[8 + j % 4] >> (j / 4 * 2) & 3;
  return (four | two << 4) - 32;
}

namespace {

uint16_t word(const uint8_t* p) { return static_cast<uint16_t>(p[0] | p[1] << 8); }
float half(const uint8_t* p) { return halfToFloat(word(p)); }

float bitsToFloat(uint32_t bits) {
  float f;
  memcpy(&f, &bits, 4);
  return f;
}

uint32_t floatToBits(float f) {
  uint32_t bits;
  memcpy(&bits, &f, 4);
  return bits;
}

// Every decoder below turns one block into floats. Layouts: the GGUF format document.

void q8_0(const uint8_t* b, float* y) {
  const float d = half(b);
  for (int i = 0; i < 32; i++) y[i] = static_cast<float>(static_cast<int8_t>(b[2 + i])) * d;
}

void q4_0(const uint8_t* b, float* y) {
  const float d = half(b);
  for (int i = 0; i < 16; i++) {
    y[i] = static_cast<float>((b[2 + i] & 15) - 8) * d;
    y[i + 16] = static_cast<float>((b[2 + i] >> 4) - 8) * d;
  }
}

void q4_1(const uint8_t* b, float* y) {
  const float d = half(b), m = half(b + 2);
  for (int i = 0; i < 16; i++) {
    y[i] = static_cast<float>(b[4 + i] & 15) * d + m;
    y[i + 16] = static_cast<float>(b[4 + i] >> 4) * d + m;
  }
}

/** The fifth bits of 32 elements stand in one word. */
int fifth(const uint8_t* bits, int i) { return (bits[i / 8] >> (i % 8) & 1) << 4; }

void q5_0(const uint8_t* b, float* y) {
  const float d = half(b);
  const uint8_t* high = b + 2;
  const uint8_t* low = b + 6;
  for (int i = 0; i < 16; i++) {
    y[i] = static_cast<float>(((low[i] & 15) | fifth(high, i)) - 16) * d;
    y[i + 16] = static_cast<float>(((low[i] >> 4) | fifth(high, i + 16)) - 16) * d;
  }
}

void q5_1(const uint8_t* b, float* y) {
  const float d = half(b), m = half(b + 2);
  const uint8_t* high = b + 4;
  const uint8_t* low = b + 8;
  for (int i = 0; i < 16; i++) {
    y[i] = static_cast<float>((low[i] & 15) | fifth(high, i)) * d + m;
    y[i + 16] = static_cast<float>((low[i] >> 4) | fifth(high, i + 16)) * d + m;
  }
}

void q2_k(const uint8_t* b, float* y) {
  const uint8_t* scales = b;
  const uint8_t* quants = b + 16;
  const float d = half(b + 80), m = half(b + 82);
  for (int i = 0; i < 256; i++) {
    // 128 elements share 32 bytes, two bits each; a scale serves 16.
    const int q = quants[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
    const uint8_t s = scales[i / 16];
    y[i] = d * static_cast<float>(s & 15) * static_cast<float>(q) - m * static_cast<float>(s >> 4);
  }
}

void q3_k(const uint8_t* b, float* y) {
  const uint8_t* high = b;
  const uint8_t* low = b + 32;
  const uint8_t* packed = b + 96;
  const float d = half(b + 108);
  for (int i = 0; i < 256; i++) {
    const int q = low[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
    const int top = high[i % 32] >> (i / 32) & 1;
    y[i] = d * static_cast<float>(sixBitScale(packed, i / 16)) * static_cast<float>(q - (top ? 0 : 4));
  }
}

void q45_k(const uint8_t* b, const uint8_t* high, const uint8_t* low, float* y) {
  const float d = half(b), m = half(b + 2);
  for (int j = 0; j < 8; j++) {
    int scale, minimum;
    scaleAndMinimum(b + 4, j, scale, minimum);
    const float s = d * static_cast<float>(scale), o = m * static_cast<float>(minimum);
    for (int i = 0; i < 32; i++) {
      int q = low[j / 2 * 32 + i] >> (j % 2 * 4) & 15;
      if (high) q |= (high[i] >> j & 1) << 4;
      y[j * 32 + i] = s * static_cast<float>(q) - o;
    }
  }
}

void q4_k(const uint8_t* b, float* y) { q45_k(b, nullptr, b + 16, y); }
void q5_k(const uint8_t* b, float* y) { q45_k(b, b + 16, b + 48, y); }

void q6_k(const uint8_t* b, float* y) {
  const uint8_t* low = b;
  const uint8_t* high = b + 128;
  const uint8_t* scales = b + 192;
  const float d = half(b + 208);
  for (int i = 0; i < 256; i++) {
    const int within = i % 128, group = within / 32, lane = i % 32;
    const int l = low[i / 128 * 64 + group % 2 * 32 + lane] >> (group / 2 * 4) & 15;
    const int h = high[i / 128 * 32 + lane] >> (group * 2) & 3;
    const float s = d * static_cast<float>(static_cast<int8_t>(scales[i / 16]));
    y[i] = s * static_cast<float>((l | h << 4) - 32);
  }
}

using Decode = void (*)(const uint8_t*, float*);

Decode blockDecoder(Format format) {
  switch (format) {
    case Format::q8_0: return q8_0;
    case Format::q4_0: return q4_0;
    case Format::q4_1: return q4_1;
    case Format::q5_0: return q5_0;
    case Format::q5_1: return q5_1;
    case Format::q2_k: return q2_k;
    case Format::q3_k: return q3_k;
    case Format::q4_k: return q4_k;
    case Format::q5_k: return q5_k;
    case Format::q6_k: return q6_k;
    default: return nullptr;
  }
}

void encodeQ8(const float* x, uint8_t* b) {
  float most = 0;
  for (int i = 0; i < 32; i++) most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
  const uint16_t scale = floatToHalf(most / 127);
  const float d = halfToFloat(scale);
  const float inverse = d > 0 ? 1 / d : 0;
  memcpy(b, &scale, 2);
  for (int i = 0; i < 32; i++) {
    const float q = roundf(x[i] * inverse);
    b[2 + i] = static_cast<uint8_t>(static_cast<int8_t>(q > 127 ? 127 : q < -127 ? -127 : q));
  }
}

}  // namespace

float halfToFloat(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 1023;
  if (exponent == 31) return bitsToFloat(sign | 0x7f800000 | mantissa << 13);
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 5.9604644775390625e-8f;
    return sign ? -magnitude : magnitude;
  }
  return bitsToFloat(sign | (exponent + 112) << 23 | mantissa << 13);
}

uint16_t floatToHalf(float value) {
  const uint32_t bits = floatToBits(value);
  const uint16_t sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  const uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Subnormal: adding 0.5 aligns the last bit that stays with the last of the float, and rounds to even.
    return sign | static_cast<uint16_t>(floatToBits(bitsToFloat(magnitude) + 0.5f) - 0x3f000000);
  }
  return sign | static_cast<uint16_t>((magnitude + 0xfff + (magnitude >> 13 & 1) - 0x38000000) >> 13);
}

uint16_t floatToBrain(float value) {
  const uint32_t bits = floatToBits(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

int64_t formatBytes(Format format, int64_t elements) { return formatOffset(format, elements); }

int64_t formatOffset(Format format, int64_t k) {
  const FormatShape& shape = formatShapes[static_cast<int>(format)];
  return shape.bytesPerRow + k / shape.elementsPerBlock * shape.bytesPerBlock;
}

const float* codeTable(Format format) {
  // As bitsandbytes has them: quantiles of the normal distribution, and sign, two bits of exponent, one of mantissa.
  static constexpr float normal[] = {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
                                     -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
                                     0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
                                     0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};
  static constexpr float eighth[] = {0.0f, 0.0625f / 12, 8.0f / 12, 1.0f, 4.0f / 12, 0.5f, 2.0f / 12, 0.25f,
                                     -0.0f, -0.0625f / 12, -8.0f / 12, -1.0f, -4.0f / 12, -0.5f, -2.0f / 12, -0.25f};
  return format == Format::nf4 ? normal : format == Format::fp4 ? eighth : nullptr;
}

int nibbleAt(Format format, const uint8_t* pairs, int64_t i) {
  const bool highFirst = format >= Format::nf4;
  return pairs[i / 2] >> (i % 2 == highFirst ? 0 : 4) & 15;
}

namespace {

/** `count` elements at `integers` of `row` that share a header. */
void group(Format format, const uint8_t* row, const uint8_t* header, const uint8_t* integers, int64_t count, float* y) {
  float scale;
  memcpy(&scale, header, 4);
  if (format <= Format::i8_32) {
    for (int64_t i = 0; i < count; i++) y[i] = static_cast<float>(static_cast<int8_t>(integers[i])) * scale;
  } else if (format <= Format::u4_32) {
    for (int64_t i = 0; i < count; i++) y[i] = static_cast<float>(nibbleAt(format, integers, i) - header[4]) * scale;
  } else {
    float table[tableLength];
    const float* known = codeTable(format);
    memcpy(table, known ? reinterpret_cast<const uint8_t*>(known) : row, sizeof table);
    for (int64_t i = 0; i < count; i++) y[i] = table[nibbleAt(format, integers, i)] * scale;
  }
}

void plain(Format format, const uint8_t* from, float* to, int64_t elements) {
  if (format == Format::f32) {
    memcpy(to, from, static_cast<size_t>(elements) * 4);
  } else if (format == Format::f16) {
    for (int64_t i = 0; i < elements; i++) to[i] = half(from + 2 * i);
  } else {
    for (int64_t i = 0; i < elements; i++) to[i] = bitsToFloat(static_cast<uint32_t>(word(from + 2 * i)) << 16);
  }
}

}  // namespace

void decodePiece(Format format, const uint8_t* row, int64_t k, int64_t count, float* to) {
  const FormatShape& shape = formatShapes[static_cast<int>(format)];
  const uint8_t* from = row + formatOffset(format, k);
  if (shape.elementsPerBlock == 1) return plain(format, from, to, count);
  if (rowIsGroup(format)) return group(format, row, row, from, count, to);
  for (int64_t i = 0; i < count; i += shape.elementsPerBlock, from += shape.bytesPerBlock) {
    if (grouped(format)) {
      group(format, row, from, from + groupHeaderBytes(format), shape.elementsPerBlock, to + i);
    } else {
      blockDecoder(format)(from, to + i);
    }
  }
}

void decode(Format format, const uint8_t* from, float* to, int64_t elements) { decodePiece(format, from, 0, elements, to); }

bool encodable(Format format) { return static_cast<int>(format) <= static_cast<int>(Format::q8_0); }

void encode(Format format, const float* from, uint8_t* to, int64_t elements) {
  if (format == Format::f32) {
    memcpy(to, from, static_cast<size_t>(elements) * 4);
  } else if (format == Format::q8_0) {
    for (int64_t i = 0; i < elements; i += 32) encodeQ8(from + i, to + i / 32 * 34);
  } else {
    for (int64_t i = 0; i < elements; i++) {
      const uint16_t bits = format == Format::f16 ? floatToHalf(from[i]) : floatToBrain(from[i]);
      memcpy(to + 2 * i, &bits, 2);
    }
  }
}

}  // namespace loquent
