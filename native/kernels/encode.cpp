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

constexpr float smallestBlock = 0x1p-100f, encodableEnd = 0x1p100f;
constexpr int vectors = blockLength / lanes;

LOQUENT_INLINE int32_t bitsOf(float x) {
  int32_t bits;
  memcpy(&bits, &x, 4);
  return bits;
}
LOQUENT_INLINE float floatOf(int32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}

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
  return floatOf(greatest);
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

/** The least number from `x` on that is two or three times a power of two. */
LOQUENT_INLINE float roundUp(float x) { return floatOf((bitsOf(x) + 0x3fffff) & ~0x3fffff); }

/** What a block holds beside its integers; `scale` as `roundUp` made it. */
LOQUENT_INLINE void complete(EncodedBlock& to, float scale, int32_t first, int32_t second) {
  const int32_t bits = bitsOf(scale), sum = first + second;
  // Of a scale of 2^e: 1.5 * 2^(22 + e), as it is two times 2^(e - 1).
  const int32_t zero = scale == scale ? (bits & 0x7f800000) + (22 << 23) | 0x400000 : bits;
  to.zero = floatOf(zero);
  to.zeroMinus8Sum = zero - 8 * sum;
  to.zeroMinus128Sum = zero - 128 * sum;
  to.minusHalfSums[0] = -first;
  to.minusHalfSums[1] = -second;
  to.scaledSum = scale * static_cast<float>(sum);
  const int32_t third = bits >> 22 & 1;
  to.choice = third * panelColumns * 4;
  to.multiple = static_cast<float>(2 + third);
}

void encodeBlock(const float* x, EncodedBlock& to) {
  const float greatest = greatestOf(x);
  int32_t sums[2] = {0, 0};
  float scale = __builtin_nanf("");
  if (greatest < encodableEnd) {
    // A block of nothing is as good as any other of multiples that are zero.
    scale = greatest < smallestBlock ? 1.0f : roundUp(greatest / 127.0f);
    roundBlock(x, greatest < smallestBlock ? 0.0f : 1.0f / scale, to.integers, sums);
  } else {
    memset(to.integers, 0, sizeof to.integers);
  }
  complete(to, scale, sums[0], sums[1]);
}

/** Blocks that are encoded together where the registers allow: what waits for itself in one is done for all of them at once. */
constexpr int32_t together = 4;

#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
/** The greatest magnitudes of four blocks, as integers in the order of their floats. */
__m128i greatestOfFour(const float* x) {
  __m512i most[together];
  for (int b = 0; b < together; b++) {
    const VI first = bits(load(x + b * blockLength)) & 0x7fffffff, second = bits(load(x + b * blockLength + 16)) & 0x7fffffff;
    most[b] = _mm512_max_epi32((__m512i)first, (__m512i)second);
  }
  const auto join = [](__m512i a, __m512i b) { return _mm512_max_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b)); };
  const __m512i a = join(most[0], most[1]), b = join(most[2], most[3]);
  __m512i all = _mm512_max_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
  all = _mm512_max_epi32(all, _mm512_shuffle_i32x4(all, all, 0x4e));
  return _mm512_castsi512_si128(_mm512_max_epi32(all, _mm512_shuffle_i32x4(all, all, 0xb1)));
}

/** Two blocks as bytes, in order, and the sums of their four halves, each in all words of its quarter. */
__m512i roundTwo(const float* x, __m512 first, __m512 second, __m512i& sums) {
  const auto round = [x](int at, __m512 inverse) { return _mm512_cvtps_epi32(load(x + 16 * at) * inverse); };
  const __m512i words = _mm512_packs_epi32(round(0, first), round(1, first)), more = _mm512_packs_epi32(round(2, second), round(3, second));
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i bytes = _mm512_permutexvar_epi32(order, _mm512_packs_epi16(words, more));
  const __m512i sum = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1), bytes);
  const __m512i pairs = _mm512_add_epi32(sum, _mm512_shuffle_epi32(sum, _MM_PERM_CDAB));
  sums = _mm512_add_epi32(pairs, _mm512_shuffle_epi32(pairs, _MM_PERM_BADC));
  return bytes;
}

/** Words 0, 5, 6 and 7 of four blocks, of which the others are made (EncodedBlock, core/panels.h). */
struct FourScales {
  __m512i zero, choice;
  __m512 scale, multiple;
  explicit FourScales(__m128 scales) {
    const __m128i bits = _mm_castps_si128(scales), third = _mm_and_si128(_mm_srli_epi32(bits, 22), _mm_set1_epi32(1));
    const __m128i power = _mm_and_si128(bits, _mm_set1_epi32(0x7f800000));
    zero = _mm512_castsi128_si512(_mm_add_epi32(power, _mm_set1_epi32(22 << 23 | 0x400000)));
    choice = _mm512_castsi128_si512(_mm_slli_epi32(third, 7));
    scale = _mm512_castps128_ps512(scales);
    multiple = _mm512_castps128_ps512(_mm_cvtepi32_ps(_mm_add_epi32(third, _mm_set1_epi32(2))));
  }
};
static_assert(panelColumns * 4 == 1 << 7);

/** `complete` for blocks `b` and `b + 1` of four. */
__m512i completeTwo(const FourScales& four, int b, __m512i halves) {
  const __m512i which = _mm512_add_epi32(_mm512_set1_epi32(b), _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1));
  const __m512i sums = _mm512_add_epi32(halves, _mm512_shuffle_i32x4(halves, halves, 0xb1)), zero = _mm512_permutexvar_epi32(which, four.zero);
  const __m512i shifts = _mm512_setr_epi32(0, 3, 7, 0, 0, 0, 0, 0, 0, 3, 7, 0, 0, 0, 0, 0);
  __m512i words = _mm512_mask_sub_epi32(zero, 0x0606, zero, _mm512_sllv_epi32(sums, shifts));
  words = _mm512_mask_sub_epi32(words, 0x1818, _mm512_setzero_si512(), halves);
  const __m512 scaled = _mm512_permutexvar_ps(which, four.scale) * _mm512_cvtepi32_ps(sums);
  words = _mm512_mask_mov_epi32(words, 0x2020, _mm512_castps_si512(scaled));
  words = _mm512_mask_permutexvar_epi32(words, 0x4040, which, four.choice);
  return _mm512_mask_permutexvar_epi32(words, 0x8080, which, _mm512_castps_si512(four.multiple));
}

/** The same numbers as one by one; false where a block becomes not-a-number. */
bool encodeFour(const float* x, EncodedBlock* to) {
  const __m128 magnitude = _mm_castsi128_ps(greatestOfFour(x));
  // What is not a number is not below anything.
  if (_mm_cmp_ps_mask(magnitude, _mm_set1_ps(encodableEnd), _CMP_LT_OQ) != 15) return false;
  const __mmask8 some = _mm_cmp_ps_mask(magnitude, _mm_set1_ps(smallestBlock), _CMP_GE_OQ);
  const __m128i low = _mm_set1_epi32(0x3fffff), least = _mm_castps_si128(_mm_div_ps(magnitude, _mm_set1_ps(127.0f)));
  const __m128 one = _mm_set1_ps(1.0f), scale = _mm_mask_mov_ps(one, some, _mm_castsi128_ps(_mm_andnot_si128(low, _mm_add_epi32(least, low))));
  const __m512 inverses = _mm512_castps128_ps512(_mm_maskz_div_ps(some, one, scale));
  const FourScales four(scale);
  for (int b = 0; b < together; b += 2) {
    __m512i halves;
    const auto inverse = [&](int at) { return _mm512_permutexvar_ps(_mm512_set1_epi32(at), inverses); };
    const __m512i bytes = roundTwo(x + b * blockLength, inverse(b), inverse(b + 1), halves), words = completeTwo(four, b, halves);
    const __m512i blocks[2] = {_mm512_shuffle_i64x2(bytes, words, 0x44), _mm512_shuffle_i64x2(bytes, words, 0xee)};
    memcpy(to + b, blocks, sizeof blocks);
  }
  return true;
}
#else
bool encodeFour(const float*, EncodedBlock*) { return false; }
#endif

void encodeBytes(const float* x, int32_t width, uint8_t* out) {
  auto* to = reinterpret_cast<EncodedBlock*>(out);
  for (int32_t k = 0; k < width;) {
    const int32_t some = least(together, (width - k) / blockLength);
    if (some < together || !encodeFour(x + k, to)) {
      for (int32_t b = 0; b < some; b++) encodeBlock(x + k + b * blockLength, to[b]);
    }
    k += some * blockLength;
    to += some;
  }
}

int32_t tasks(const Step& s, const void* record) { return rowTasks(s, as<op::Encode>(record).x); }

void run(const Step& s, const void* record, int32_t task, uint8_t*) {
  const auto& o = as<op::Encode>(record);
  const Rows rows = taskRows(s, o.x, task);
  const Format format = o.encoding == Encoding::bf16 ? Format::bf16 : Format::q8_0;
  for (int32_t r = rows.begin; r < rows.end; r++) {
    encodeRow(format, rowOf(s, o.x, r), o.x.width, reinterpret_cast<uint8_t*>(rowOf(s, o.out, r)));
  }
}

}  // namespace

void encodeRow(Format format, const float* x, int32_t width, uint8_t* out) {
  if (format == Format::bf16) {
    encodeBrain(x, width, out);
  } else {
    encodeBytes(x, width, out);
  }
}

extern const Kernel encode = {tasks, run, noScratch};

}  // namespace loquent::LOQUENT_ISA
