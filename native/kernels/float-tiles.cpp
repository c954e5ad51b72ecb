// Tiles of float32, f16 and bf16 weights. Lanes are output columns and k is walked in ascending order with one fused
// accumulator an output, so a row's bits depend on nothing but the row.
#include <utility>

#include "tiles.h"

namespace loquent::LOQUENT_ISA {
namespace {

/** Vectors a tile of so many rows is wide. */
constexpr int tileVectors(int rows) { return lanes == 16 ? 2 : rows <= 2 ? 4 : 2; }

template <Format T>
LOQUENT_INLINE V loadWeights(const uint8_t* p) {
  if constexpr (T == Format::f16) return loadHalf(p);
  return load(reinterpret_cast<const float*>(p));
}

template <Format T, int R, int C>
LOQUENT_INLINE void multiply(const uint8_t* w, const uint8_t* x, int64_t stride, V (&sum)[R][C]) {
  V weight[C];
  for (int c = 0; c < C; c++) weight[c] = loadWeights<T>(w + c * lanes * (T == Format::f32 ? 4 : 2));
  for (int r = 0; r < R; r++) {
    const V a = splat(*reinterpret_cast<const float*>(x + r * stride));
    for (int c = 0; c < C; c++) sum[r][c] = fma(a, weight[c], sum[r][c]);
  }
}

/** One pair of k: the products are exact, and each of the two is added with one rounding. */
template <int R, int C>
LOQUENT_INLINE void multiplyPair(const uint8_t* w, const uint8_t* x, int64_t stride, V (&sum)[R][C]) {
#if defined(__AVX512BF16__)
  __m512bh weight[C];
  for (int c = 0; c < C; c++) memcpy(&weight[c], w + c * 64, 64);
  for (int r = 0; r < R; r++) {
    const __m512bh a = (__m512bh)_mm512_set1_epi32(*reinterpret_cast<const int32_t*>(x + r * stride));
    for (int c = 0; c < C; c++) sum[r][c] = _mm512_dpbf16_ps(sum[r][c], weight[c], a);
  }
#else
  VI weight[C];
  for (int c = 0; c < C; c++) memcpy(&weight[c], w + c * lanes * 4, sizeof(VI));
  for (int second = 0; second < 2; second++) {
    V half[C];
    for (int c = 0; c < C; c++) half[c] = unbits(second ? weight[c] & static_cast<int32_t>(0xffff0000) : weight[c] << 16);
    for (int r = 0; r < R; r++) {
      const uint32_t pair = *reinterpret_cast<const uint32_t*>(x + r * stride);
      const uint32_t bits = second ? pair & 0xffff0000 : pair << 16;
      float f;
      memcpy(&f, &bits, 4);
      for (int c = 0; c < C; c++) sum[r][c] = fma(splat(f), half[c], sum[r][c]);
    }
  }
#endif
}

template <Format T, int R>
void tile(const uint8_t* w, const Input& x, int32_t length, float* sums, bool fetch) {
  constexpr int C = tileVectors(R);
  constexpr int64_t pair = T == Format::bf16 ? 2 : 1, columnBytes = T == Format::f16 ? 2 : 4, lineStep = columnBytes * panelColumns;
  const int32_t lines = T == Format::bf16 ? (length + 1) / 2 : length;
  const uint8_t* rows = x.rows + x.k / pair * 4;
  const Prefetch ahead(w, lines * lineStep, x, fetch);
  for (int column = 0; column < panelColumns; column += C * lanes) {
    const uint8_t* line = w + column * columnBytes;
    V sum[R][C];
    loadSums(x.k, sums + column, sum);
    for (int32_t k = 0; k < lines; k++, line += lineStep) {
      if (column == 0) ahead.at(line, lineStep);
      if constexpr (T == Format::bf16) {
        multiplyPair<R, C>(line, rows + 4 * k, x.stride, sum);
      } else {
        multiply<T, R, C>(line, rows + 4 * k, x.stride, sum);
      }
    }
    storeSums(sums + column, sum);
  }
}

template <Format T, int... R>
constexpr Tiles makeTiles(std::integer_sequence<int, R...>) {
  return {{tile<T, R + 1>...}, tileRows};
}

template <Format T>
constexpr Tiles tilesOf = makeTiles<T>(std::make_integer_sequence<int, tileRows>());

}  // namespace

const Tiles& floatTiles(Format f) {
  switch (f) {
    case Format::f16: return tilesOf<Format::f16>;
    case Format::bf16: return tilesOf<Format::bf16>;
    default: return tilesOf<Format::f32>;
  }
}

}  // namespace loquent::LOQUENT_ISA
