// x rounded to what a product takes: bf16, or blocks of 32 signed bytes. Layout: src/ops/encoding.ts. Twin:
// backends/reference.
#include "../core/formats.h"
#include "../core/panels.h"
#include "call.h"

namespace loquent::LOQUENT_ISA {
namespace {

void encodeBrain(const float* x, int32_t width, uint8_t* out) {
  int32_t i = 0;
#if defined(__AVX512BF16__)
  for (; i + 16 <= width; i += 16) {
    const __m256bh halves = _mm512_cvtneps_pbh(load(x + i));
    memcpy(out + 2 * i, &halves, 32);
  }
#endif
  for (; i < width; i++) {
    const uint16_t half = floatToBrain(x[i]);
    memcpy(out + 2 * i, &half, 2);
  }
  if (width % 2) memset(out + 2 * width, 0, 2);
}

constexpr float smallestBlock = 0x1p-100f;
constexpr int vectors = blockLength / lanes;

/** The greatest magnitude; what is not a number is greater than all that are. */
float greatestOf(const float* x) {
  VI most = bits(load(x)) & 0x7fffffff;
  for (int v = 1; v < vectors; v++) {
    const VI magnitude = bits(load(x + v * lanes)) & 0x7fffffff;
    most = magnitude > most ? magnitude : most;
  }
#if defined(__AVX512F__)
  const int32_t greatest = _mm512_reduce_max_epi32((__m512i)most);
#else
  int32_t all[lanes];
  memcpy(all, &most, sizeof all);
  int32_t greatest = 0;
  for (int i = 0; i < lanes; i++) greatest = all[i] > greatest ? all[i] : greatest;
#endif
  float f;
  memcpy(&f, &greatest, 4);
  return f;
}

/** Whole multiples, nearest, ties to even, of 32 numbers; and the sums of the two halves. */
void roundBlock(const float* x, float inverse, int8_t* to, int32_t (&sums)[2]) {
#if defined(__AVX512F__)
  for (int h = 0; h < 2; h++) {
    const __m512i q = _mm512_cvtps_epi32(load(x + 16 * h) * splat(inverse));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 16 * h), _mm512_cvtepi32_epi8(q));
    sums[h] = _mm512_reduce_add_epi32(q);
  }
#else
  int32_t q[blockLength];
  for (int v = 0; v < vectors; v++) {
    // Adding 1.5 * 2^23 rounds to an integer, ties to even, and leaves it in the low bits.
    const VI rounded = bits(load(x + v * lanes) * splat(inverse) + splat(12582912.0f)) - 0x4b400000;
    memcpy(q + v * lanes, &rounded, sizeof rounded);
  }
  sums[0] = sums[1] = 0;
  for (int i = 0; i < 16; i++) {
    sums[0] += q[i];
    sums[1] += q[i + 16];
  }
  for (int i = 0; i < blockLength; i++) to[i] = static_cast<int8_t>(q[i]);
#endif
}

/** A block of 32 as the tiles read it. */
struct EncodedBlock {
  int8_t integers[blockLength];
  float scale;
  int32_t minus8Sum, minus128Sum, minusHalfSums[2];
  float scaledSum;
};
static_assert(sizeof(EncodedBlock) == encodedBlockBytes);

void encodeBlock(const float* x, EncodedBlock& to) {
  const float greatest = greatestOf(x);
  int32_t sums[2] = {0, 0};
  if (greatest < __builtin_inff()) {
    const bool nothing = greatest < smallestBlock;
    roundBlock(x, nothing ? 0.0f : 127.0f / greatest, to.integers, sums);
    to.scale = nothing ? 0.0f : greatest / 127.0f;
  } else {
    memset(to.integers, 0, sizeof to.integers);
    to.scale = __builtin_nanf("");
  }
  to.minus8Sum = -8 * (sums[0] + sums[1]);
  to.minus128Sum = -128 * (sums[0] + sums[1]);
  for (int h = 0; h < 2; h++) to.minusHalfSums[h] = -sums[h];
  to.scaledSum = to.scale * static_cast<float>(sums[0] + sums[1]);
}

void encodeBytes(const float* x, int32_t width, uint8_t* out) {
  auto* to = reinterpret_cast<EncodedBlock*>(out);
  for (int32_t k = 0; k < width; k += blockLength) encodeBlock(x + k, *to++);
}

int32_t tasks(const Step& s, const void* record) { return rowTasks(s, as<op::Encode>(record).x); }

void run(const Step& s, const void* record, int32_t task, uint8_t*) {
  const auto& o = as<op::Encode>(record);
  const Rows rows = taskRows(s, o.x, task);
  for (int32_t r = rows.begin; r < rows.end; r++) {
    const float* x = rowOf(s, o.x, r);
    uint8_t* out = reinterpret_cast<uint8_t*>(rowOf(s, o.out, r));
    if (o.encoding == Encoding::bf16) {
      encodeBrain(x, o.x.width, out);
    } else {
      encodeBytes(x, o.x.width, out);
    }
  }
}

}  // namespace

extern const Kernel encode = {tasks, run, noScratch};

}  // namespace loquent::LOQUENT_ISA
