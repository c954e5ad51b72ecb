// Tiles of four-bit codes into a table of 16 numbers. Lanes are output columns; k is walked in ascending order in runs of 32
// with one fused accumulator an output, which the group's scale brings into the sum.
#include <utility>

#include "../core/formats.h"
#include "tiles.h"

namespace loquent::LOQUENT_ISA {
namespace {

constexpr int codeGroup = 64, codesPerWord = 8, runLength = 32, runs = codeGroup / runLength;
constexpr int64_t runBytes = runLength / 2 * panelColumns;
constexpr int64_t codeHeader = headerBytes(Scales::group), wordBytes = panelColumns * 4;

/** Vectors a tile of so many rows is wide. */
constexpr int codeVectors(int rows) { return lanes == 16 ? 2 : rows <= 2 ? 2 : 1; }
/** Runs that a tile of so many rows walks side by side: a few rows' accumulators would wait for each other. */
constexpr int sideBySide(int rows) { return rows <= 3 ? runs : 1; }

/** The sixteen numbers, in registers where a look-up takes them from there. */
struct Table {
#if defined(__AVX512F__)
  __m512 all;
  explicit Table(const float* table) : all(_mm512_loadu_ps(table)) {}
  LOQUENT_MEMBER V at(VI codes, int shift) const { return _mm512_permutexvar_ps(_mm512_srli_epi32((__m512i)codes, static_cast<unsigned>(shift)), all); }
#elif defined(__AVX2__)
  __m256 low, high;
  explicit Table(const float* table) : low(_mm256_loadu_ps(table)), high(_mm256_loadu_ps(table + 8)) {}
  LOQUENT_MEMBER V at(VI codes, int shift) const {
    const __m256i code = _mm256_srli_epi32((__m256i)codes, shift);
    // The fourth bit, brought to where a sign is, chooses between the halves.
    const __m256 upper = _mm256_castsi256_ps(_mm256_slli_epi32(code, 28));
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, code), _mm256_permutevar8x32_ps(high, code), upper);
  }
#else
  const float* all;
  explicit Table(const float* table) : all(table) {}
  LOQUENT_MEMBER V at(VI codes, int shift) const {
    V v;
    for (int i = 0; i < lanes; i++) v[i] = all[static_cast<uint32_t>(codes[i]) >> shift & 15];
    return v;
  }
#endif
};

LOQUENT_INLINE VI loadWords(const uint8_t* p) {
  VI v;
  memcpy(&v, p, sizeof v);
  return v;
}

/** Eight columns of k. */
template <int R, int C>
LOQUENT_INLINE void addWord(const uint8_t* word, const Table& table, const uint8_t* x, int64_t stride, V (&sum)[R][C]) {
  VI codes[C];
  for (int c = 0; c < C; c++) codes[c] = loadWords(word + c * lanes * 4);
#pragma GCC unroll 8
  for (int i = 0; i < codesPerWord; i++) {
    V weight[C];
    for (int c = 0; c < C; c++) weight[c] = table.at(codes[c], 4 * i);
    for (int r = 0; r < R; r++) {
      const V a = splat(*reinterpret_cast<const float*>(x + r * stride + 4 * i));
      for (int c = 0; c < C; c++) sum[r][c] = fma(a, weight[c], sum[r][c]);
    }
  }
}

/** `S` runs of a group, of which the first begins at `p` and at `x`. */
template <int R, int C, int S>
LOQUENT_INLINE void addRuns(const uint8_t* p, const uint8_t* scales, const Table& table, const uint8_t* x, int64_t stride, float* sums) {
  V sum[S][R][C];
  for (auto& run : sum) {
    for (auto& row : run) {
      for (V& v : row) v = splat(0.0f);
    }
  }
  for (int i = 0; i < runLength / codesPerWord; i++) {
    for (int s = 0; s < S; s++) {
      addWord<R, C>(p + s * runBytes + i * wordBytes, table, x + 4 * (s * runLength + i * codesPerWord), stride, sum[s]);
    }
  }
  for (int c = 0; c < C; c++) {
    const V scale = load(reinterpret_cast<const float*>(scales) + c * lanes);
    for (int r = 0; r < R; r++) {
      float* all = sums + r * panelColumns + c * lanes;
      V total = load(all);
      for (int s = 0; s < S; s++) total = fma(sum[s][r][c], scale, total);
      store(all, total);
    }
  }
}

template <Format T, int R>
void codeTile(const uint8_t* w, const Input& in, int32_t length, float* sums, bool fetch) {
  constexpr int C = codeVectors(R), S = sideBySide(R);
  constexpr int32_t own = panelForm(T).table;
  const uint8_t* panel = w - panelBytes(T, in.k);
  const Table table(own ? reinterpret_cast<const float*>(panel) : codeTable(T));
  const Prefetch ahead(w, panelBytes(T, in.k + length) - panelBytes(T, in.k), in, fetch);
  if (in.k == 0) memset(sums, 0, R * panelColumns * sizeof(float));
  for (int first = 0; first < panelColumns; first += C * lanes) {
    const uint8_t* p = in.k == 0 ? w + own : w;
    const uint8_t* x = in.rows + static_cast<int64_t>(in.k) * 4;
    for (int32_t k = 0; k < length; k += codeGroup) {
      const uint8_t* scales = p;
      p += codeHeader;
      for (int run = 0; run < runs; run += S, p += S * runBytes, x += S * runLength * 4) {
        if (first == 0) ahead.at(p, S * runBytes);
        addRuns<R, C, S>(p + first * 4, scales + first * 4, table, x, in.stride, sums + first);
      }
    }
  }
}

template <Format T, int... R>
constexpr Tiles makeTiles(std::integer_sequence<int, R...>) {
  return {{codeTile<T, R + 1>...}, tileRows};
}

template <Format T>
constexpr Tiles tilesOf = makeTiles<T>(std::make_integer_sequence<int, tileRows>());

}  // namespace

const Tiles& codeTiles(Format f) {
  switch (f) {
    case Format::nf4: return tilesOf<Format::nf4>;
    case Format::fp4: return tilesOf<Format::fp4>;
    default: return tilesOf<Format::lut4>;
  }
}

}  // namespace loquent::LOQUENT_ISA
