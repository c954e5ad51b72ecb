// Tiles of quantized weights: integer dot products over blocks of 32 columns of k, exact on every instruction set, then
// one fused product with the weight's scale, or a multiple of it, a block, in ascending order of k (EncodedBlock, core/panels.h). Where
// the weight has one scale a row, it is applied when k ends.
#pragma once
#include <utility>

#include "tiles.h"

namespace loquent::LOQUENT_ISA {

/** Vectors a tile is wide: where registers are few, the sums of a block in integers must fit. */
constexpr int integerVectors(int rows) { return lanes == 16 ? 2 : rows == 1 ? 4 : rows == 2 ? 2 : 1; }

/** Most rows of a tile: with 32 registers, the sums of a block and some of those over k; measured. */
constexpr int integerRows(Format f) {
  if (lanes != 16) return tileRows;
  return panelForm(f).integers == Integers::six ? 4 : 8;
}

LOQUENT_INLINE VI splatInt(int32_t x) {
#if defined(__AVX512F__)
  return (VI)_mm512_set1_epi32(x);
#elif defined(__AVX2__)
  return (VI)_mm256_set1_epi32(x);
#else
  return VI{x, x, x, x};
#endif
}
template <int count>
LOQUENT_INLINE VI shiftLeft(VI x) {
#if defined(__AVX512F__)
  // The operator on a broadcast number becomes a shift of that number, in a slow unit.
  return (VI)_mm512_slli_epi32((__m512i)x, count);
#else
  return x << count;
#endif
}
LOQUENT_INLINE VI loadInt(const uint8_t* p) {
  VI v;
  memcpy(&v, p, sizeof v);
  return v;
}
LOQUENT_INLINE int32_t wordAt(const uint8_t* p) {
  int32_t x;
  memcpy(&x, p, 4);
  return x;
}
LOQUENT_INLINE float floatAt(const uint8_t* p) {
  float x;
  memcpy(&x, p, 4);
  return x;
}

/** Adds to each lane the products of its four unsigned bytes of w and signed bytes of x. `wide`: w may exceed 127. */
template <bool wide>
LOQUENT_INLINE VI dotBytes(VI sum, VI w, VI x) {
#if defined(__AVX512VNNI__)
  return (VI)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)w, (__m512i)x);
#elif defined(__AVX512F__)
  // Pairs of products of bytes would saturate at 16 bits when w is wide: even and odd bytes apart.
  const __m512i a = (__m512i)w, b = (__m512i)x;
  if constexpr (!wide) return sum + (VI)_mm512_madd_epi16(_mm512_maddubs_epi16(a, b), _mm512_set1_epi16(1));
  const __m512i even = _mm512_madd_epi16(_mm512_and_si512(a, _mm512_set1_epi16(255)), _mm512_srai_epi16(_mm512_slli_epi16(b, 8), 8));
  const __m512i odd = _mm512_madd_epi16(_mm512_srli_epi16(a, 8), _mm512_srai_epi16(b, 8));
  return sum + (VI)even + (VI)odd;
#elif defined(__AVXVNNI__)
  return (VI)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)w, (__m256i)x);
#elif defined(__AVX2__)
  const __m256i a = (__m256i)w, b = (__m256i)x;
  if constexpr (!wide) return sum + (VI)_mm256_madd_epi16(_mm256_maddubs_epi16(a, b), _mm256_set1_epi16(1));
  const __m256i even = _mm256_madd_epi16(_mm256_and_si256(a, _mm256_set1_epi16(255)), _mm256_srai_epi16(_mm256_slli_epi16(b, 8), 8));
  const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(a, 8), _mm256_srai_epi16(b, 8));
  return sum + (VI)even + (VI)odd;
#else
  // 255 * 127 is just within 16 bits.
  typedef int16_t Short __attribute__((vector_size(16)));
  typedef uint16_t Unsigned __attribute__((vector_size(16)));
  const Short even = (Short)((Unsigned)w & 255) * (((Short)x << 8) >> 8), odd = (Short)((Unsigned)w >> 8) * ((Short)x >> 8);
  const VI e = (VI)even, o = (VI)odd;
  return sum + ((e << 16) >> 16) + (e >> 16) + ((o << 16) >> 16) + (o >> 16);
#endif
}

/** Four unsigned integers a lane: the `g`-th four of 16 columns of k, 0 to 3. `at` stands at this lane's columns. */
template <Integers form>
struct Unpacker {
  /** Loads what several fours share. */
  VI low, high;
  LOQUENT_MEMBER void start16(const uint8_t* integers, int half) {
    if constexpr (form == Integers::six) high = loadInt(integers + (4 + half) * panelColumns * 4);
  }
  LOQUENT_MEMBER VI four(const uint8_t* integers, int half, int g) {
    if constexpr (form == Integers::bytes) return loadInt(integers + (4 * half + g) * panelColumns * 4);
    const int32_t mask = 0x0f0f0f0f;
    if (g % 2 == 0) low = loadInt(integers + (2 * half + g / 2) * panelColumns * 4);
    const VI nibble = (g % 2 == 0 ? low : low >> 4) & mask;
    if constexpr (form == Integers::nibbles) return nibble;
    const VI top = g == 0 ? high << 4 : g == 1 ? high << 2 : g == 2 ? high : high >> 2;
    return nibble | (top & 0x30303030);
  }
};

/**
 * The same block of every row of x; what a block holds is in core/panels.h. Three rows share a base, so that the rows of a
 * tile take few registers: base, stride and twice the stride are an address each.
 */
template <int R>
struct Encoded {
  const uint8_t* base[(R + 2) / 3];
  int64_t stride;
  LOQUENT_MEMBER Encoded(const uint8_t* first, int64_t bytes) : stride(bytes) {
    for (int i = 0; i < (R + 2) / 3; i++) base[i] = first + 3 * i * bytes;
  }
  LOQUENT_MEMBER void next() {
    for (auto& b : base) {
      b += encodedBlockBytes;
      // Keeps the compiler from making a pointer of its own for every row.
      asm("" : "+r"(b));
    }
  }
  LOQUENT_MEMBER const uint8_t* row(int r) const { return base[r / 3] + r % 3 * stride; }
  LOQUENT_MEMBER int32_t four(int r, int i) const { return wordAt(row(r) + 4 * i); }
  LOQUENT_MEMBER float zero(int r) const { return floatAt(row(r) + offsetof(EncodedBlock, zero)); }
  LOQUENT_MEMBER int32_t zeroBits(int r) const { return wordAt(row(r) + offsetof(EncodedBlock, zero)); }
  LOQUENT_MEMBER int32_t zeroMinus8Sum(int r) const { return wordAt(row(r) + offsetof(EncodedBlock, zeroMinus8Sum)); }
  LOQUENT_MEMBER int32_t zeroMinus128Sum(int r) const { return wordAt(row(r) + offsetof(EncodedBlock, zeroMinus128Sum)); }
  LOQUENT_MEMBER int32_t minusHalfSum(int r, int half) const { return wordAt(row(r) + offsetof(EncodedBlock, minusHalfSums) + 4 * half); }
  LOQUENT_MEMBER float scaledSum(int r) const { return floatAt(row(r) + offsetof(EncodedBlock, scaledSum)); }
  LOQUENT_MEMBER int32_t choice(int r) const { return wordAt(row(r) + offsetof(EncodedBlock, choice)); }
  LOQUENT_MEMBER float multiple(int r) const { return floatAt(row(r) + offsetof(EncodedBlock, multiple)); }
  LOQUENT_MEMBER float scaledHalfSum(int r, int half) const {
    constexpr float unit = 1.0f / 12582912;
    return zero(r) * unit * multiple(r) * static_cast<float>(-minusHalfSum(r, half));
  }
};

/** A byte of each of some columns, in all four bytes of its lane. */
LOQUENT_INLINE VI spreadBytes(const uint8_t* p) {
#if defined(__AVX512F__)
  return (VI)_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))) * splatInt(0x01010101);
#else
  VI v;
  int32_t all[lanes];
  for (int i = 0; i < lanes; i++) all[i] = p[i] * 0x01010101;
  memcpy(&v, all, sizeof v);
  return v;
#endif
}

/** Scale, and minimum to be added, of some columns of a block, for its first or second half. */
template <Scales S>
LOQUENT_INLINE V scaleOf(const uint8_t* header, const uint8_t* scales, int column, int half) {
  if constexpr (S == Scales::half || S == Scales::minimum) return loadHalf(scales + 2 * column);
  if constexpr (S == Scales::group || S == Scales::zero) return load(reinterpret_cast<const float*>(header) + column);
  return loadHalf(header + 2 * column) * loadBytes(scales + half * panelColumns + column);
}
template <Scales S>
LOQUENT_INLINE V minimumOf(const uint8_t* header, const uint8_t* scales, int column, int half) {
  if constexpr (S == Scales::minimum) return loadHalf(scales + 2 * (panelColumns + column));
  const int line = S == Scales::super16min ? 2 + half : 1;
  return splat(0.0f) - loadHalf(header + 2 * (panelColumns + column)) * loadBytes(scales + line * panelColumns + column);
}

/** Where a sum begins: at the bits of nothing, minus the offset of the integers times the sum of the block's, or the half's, multiples. */
template <Format T, int R>
LOQUENT_INLINE VI startOf(const Encoded<R>& x, int r, int half) {
  constexpr PanelForm form = panelForm(T);
  if constexpr (form.offsetBits < 0) return splatInt(x.zeroBits(r));
  if constexpr (form.scales == Scales::super16) return splatInt(x.zeroBits(r)) + shiftLeft<form.offsetBits>(splatInt(x.minusHalfSum(r, half)));
  if constexpr (form.offsetBits == 7) return splatInt(x.zeroMinus128Sum(r));
  const VI eight = splatInt(x.zeroMinus8Sum(r));
  // Shifts run in the units of the products, sums do not.
  return form.offsetBits == 4 ? eight + eight - splatInt(x.zeroBits(r)) : eight;
}

/**
 * Two and three times the scales of some columns, for the rows of a tile to choose from: made by additions, which do not run where the
 * products run. For few rows it is less work to multiply.
 */
template <int R, int C>
struct Multiples {
  static constexpr bool kept = R > 4;
  alignas(64) float of[kept ? 2 : 1][panelColumns];
  V scale[C];
  LOQUENT_MEMBER void set(int c, V one) {
    if constexpr (kept) {
      const V two = one + one;
      store(of[0] + c * lanes, two);
      store(of[1] + c * lanes, two + one);
    } else {
      scale[c] = one;
    }
  }
  LOQUENT_MEMBER V at(const Encoded<R>& x, int r, int c) const {
    // Masked, as x may change under a piece that is done twice (Batch, core/job.h).
    if constexpr (kept) return load(reinterpret_cast<const float*>(reinterpret_cast<const uint8_t*>(of) + (x.choice(r) & panelColumns * 4)) + c * lanes);
    return scale[c] * splat(x.multiple(r));
  }
};

/** Adds one block to the sums of a tile. */
template <Format T, int R, int C>
LOQUENT_INLINE void addBlock(const uint8_t* header, const uint8_t* block, int first, const Encoded<R>& x, V (&sum)[R][C]) {
  constexpr PanelForm form = panelForm(T);
  constexpr int halves = form.scales == Scales::super16 || form.scales == Scales::super16min ? 2 : 1;
  constexpr bool minimum = form.scales == Scales::minimum || form.scales == Scales::super || form.scales == Scales::super16min;
  constexpr bool wide = form.offsetBits == 7;
  constexpr bool zero = form.scales == Scales::zero;
  VI raise[C];
  for (int c = 0; c < C && zero; c++) raise[c] = spreadBytes(header + 4 * panelColumns + first + c * lanes);
  const uint8_t* integers = block + scaleBytes(form.scales) + first * 4;
  VI dot[R][C];
#pragma GCC unroll(lanes > 4 ? 2 : 1)
  for (int half = 0; half < 2; half++) {
    Unpacker<form.integers> unpack[C];
    for (int c = 0; c < C; c++) unpack[c].start16(integers + c * lanes * 4, half);
    for (int r = 0; r < R && half < halves; r++) {
      const VI start = startOf<T, R>(x, r, half);
      for (int c = 0; c < C; c++) dot[r][c] = start;
    }
#pragma GCC unroll(lanes > 4 ? 4 : 1)
    for (int g = 0; g < 4; g++) {
      VI weight[C];
      for (int c = 0; c < C; c++) {
        weight[c] = unpack[c].four(integers + c * lanes * 4, half, g);
        // No byte overflows into the next: a nibble and at most 16.
        if constexpr (zero) weight[c] = weight[c] + raise[c];
      }
      for (int r = 0; r < R; r++) {
        const VI four = splatInt(x.four(r, 4 * half + g));
        for (int c = 0; c < C; c++) dot[r][c] = dotBytes<wide>(dot[r][c], weight[c], four);
      }
    }
    if (half == 0 && halves == 1) continue;
    Multiples<R, C> scale;
    V offset[C];
    for (int c = 0; c < C; c++) {
      if constexpr (!wholeRow(form)) scale.set(c, scaleOf<form.scales>(header, block, first + c * lanes, halves == 2 ? half : 0));
      if constexpr (minimum) offset[c] = minimumOf<form.scales>(header, block, first + c * lanes, half);
    }
    for (int r = 0; r < R; r++) {
      const V zero = splat(x.zero(r));
      for (int c = 0; c < C; c++) {
        sum[r][c] = fma(unbits(dot[r][c]) - zero, wholeRow(form) ? splat(x.multiple(r)) : scale.at(x, r, c), sum[r][c]);
        if constexpr (minimum) sum[r][c] = fma(offset[c], splat(halves == 2 ? x.scaledHalfSum(r, half) : x.scaledSum(r)), sum[r][c]);
      }
    }
  }
}

/** The end of k for rows with one scale. */
template <Format T, int R, int C>
LOQUENT_INLINE void scaleSums(const uint8_t* header, int first, V (&sum)[R][C]) {
  for (int c = 0; c < C; c++) {
    const V scale = scaleOf<panelForm(T).scales>(header, nullptr, first + c * lanes, 0);
    for (int r = 0; r < R; r++) sum[r][c] = sum[r][c] * scale;
  }
}

template <Format T, int R>
void integerTile(const uint8_t* w, const Input& in, int32_t length, float* sums, bool fetch) {
  constexpr PanelForm form = panelForm(T);
  constexpr int C = integerVectors(R);
  const Prefetch ahead(w, panelBytes(T, in.k + length) - panelBytes(T, in.k), in, fetch);
  for (int first = 0; first < panelColumns; first += C * lanes) {
    const uint8_t* p = wholeRow(form) && in.k == 0 ? w + headerBytes(form.scales) : w;
    const uint8_t* header = w - panelBytes(T, in.k);
    Encoded<R> x(in.rows + in.k / blockLength * encodedBlockBytes, in.stride);
    V sum[R][C];
    loadSums(in.k, sums + first, sum);
    for (int32_t k = 0; k < length; k += blockLength) {
      if (form.span && k % form.span == 0) {
        header = p;
        p += headerBytes(form.scales);
      }
      if (first == 0) ahead.at(p, blockBytes(form));
      addBlock<T, R, C>(header, p, first, x, sum);
      p += blockBytes(form);
      x.next();
    }
    if (wholeRow(form) && in.k + length == in.width) scaleSums<T, R, C>(header, first, sum);
    storeSums(sums + first, sum);
  }
}

template <Format T, int R>
constexpr Tile tileOrNone() {
  if constexpr (R <= integerRows(T)) return integerTile<T, R>;
  return nullptr;
}

template <Format T, int... R>
constexpr Tiles makeTiles(std::integer_sequence<int, R...>) {
  return {{tileOrNone<T, R + 1>()...}, integerRows(T)};
}

template <Format T>
constexpr Tiles integerTilesOf = makeTiles<T>(std::make_integer_sequence<int, tileRows>());

}  // namespace loquent::LOQUENT_ISA
