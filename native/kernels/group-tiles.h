// Tiles of integers in groups along k, or rows, that share a float32 scale: integer dot products over blocks of 32 columns of
// k, exact on every instruction set, added up with x's scales; the weight's scale is applied when the group ends.
#pragma once
#include "integer-tiles.h"

namespace loquent::LOQUENT_ISA {

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

/** Adds one block, times the scales of x, to the sums of a group. `raise` is added to every integer. */
template <Format T, int R, int C>
LOQUENT_INLINE void addGroupBlock(const uint8_t* integers, const VI (&raise)[C], const Encoded<R>& x, V (&sum)[R][C]) {
  constexpr PanelForm form = panelForm(T);
  VI dot[R][C];
  for (int r = 0; r < R; r++) {
    for (int c = 0; c < C; c++) dot[r][c] = startOf<T, R>(x, r, 0);
  }
#pragma GCC unroll(lanes > 4 ? 2 : 1)
  for (int half = 0; half < 2; half++) {
    Unpacker<form.integers> unpack[C];
#pragma GCC unroll(lanes > 4 ? 4 : 1)
    for (int g = 0; g < 4; g++) {
      VI weight[C];
      for (int c = 0; c < C; c++) {
        weight[c] = unpack[c].four(integers + c * lanes * 4, half, g);
        // No byte overflows into the next: a nibble and at most 16.
        if constexpr (form.scales == Scales::zero) weight[c] = weight[c] + raise[c];
      }
      for (int r = 0; r < R; r++) {
        const VI four = splatInt(x.four(r, 4 * half + g));
        for (int c = 0; c < C; c++) dot[r][c] = dotBytes<form.offsetBits == 7>(dot[r][c], weight[c], four);
      }
    }
  }
  for (int r = 0; r < R; r++) {
    const V scale = splat(x.scale(r));
    for (int c = 0; c < C; c++) sum[r][c] = fma(__builtin_convertvector(dot[r][c], V), scale, sum[r][c]);
  }
}

/** What stands before a group, for some columns. */
template <Format T, int C>
struct GroupHeader {
  V scale[C];
  VI raise[C];
  LOQUENT_MEMBER explicit GroupHeader(const uint8_t* p, int first) {
    for (int c = 0; c < C; c++) {
      const int column = first + c * lanes;
      scale[c] = load(reinterpret_cast<const float*>(p) + column);
      raise[c] = splatInt(0);
      if constexpr (panelForm(T).scales == Scales::zero) raise[c] = spreadBytes(p + 4 * panelColumns + column);
    }
  }
};

/** Some blocks that share a header. */
template <Format T, int R, int C>
LOQUENT_INLINE void addBlocks(const uint8_t* p, int32_t blocks, const VI (&raise)[C], Encoded<R>& x, V (&sum)[R][C],
                              const Prefetch* ahead, int first) {
  constexpr int64_t bytes = blockBytes(panelForm(T));
  for (int32_t b = 0; b < blocks; b++, p += bytes) {
    if (ahead) ahead->at(p, bytes);
    addGroupBlock<T, R, C>(p + first * 4, raise, x, sum);
    x.next();
  }
}

/** Rows that are one group: sums are scaled when k ends. */
template <Format T, int R, int C>
LOQUENT_INLINE void addRow(const uint8_t* w, const Input& in, int32_t length, float* sums, const Prefetch* ahead, int first) {
  const uint8_t* panel = w - panelBytes(T, in.k);
  const GroupHeader<T, C> header(panel, first);
  Encoded<R> x(in.rows + in.k / blockLength * encodedBlockBytes, in.stride);
  V sum[R][C];
  loadSums(sums, sum);
  addBlocks<T, R, C>(in.k == 0 ? w + headerBytes(panelForm(T).scales) : w, length / blockLength, header.raise, x, sum, ahead, first);
  if (in.k + length == in.width) {
    for (int r = 0; r < R; r++) {
      for (int c = 0; c < C; c++) sum[r][c] = sum[r][c] * header.scale[c];
    }
  }
  storeSums(sums, sum);
}

template <Format T, int R, int C>
LOQUENT_INLINE void addGroups(const uint8_t* w, const Input& in, int32_t length, float* sums, const Prefetch* ahead, int first) {
  constexpr PanelForm form = panelForm(T);
  constexpr int32_t blocks = form.span / blockLength;
  Encoded<R> x(in.rows + in.k / blockLength * encodedBlockBytes, in.stride);
  for (int32_t k = 0; k < length; k += form.span) {
    const GroupHeader<T, C> header(w, first);
    V sum[R][C];
    for (int r = 0; r < R; r++) {
      for (int c = 0; c < C; c++) sum[r][c] = splat(0.0f);
    }
    w += headerBytes(form.scales);
    addBlocks<T, R, C>(w, blocks, header.raise, x, sum, ahead, first);
    w += blocks * blockBytes(form);
    for (int r = 0; r < R; r++) {
      for (int c = 0; c < C; c++) {
        float* all = sums + r * panelColumns + c * lanes;
        store(all, fma(sum[r][c], header.scale[c], load(all)));
      }
    }
  }
}

template <Format T, int R>
void groupTile(const uint8_t* w, const Input& in, int32_t length, float* sums, bool fetch) {
  constexpr int C = integerVectors(R);
  const Prefetch ahead(w, panelBytes(T, in.k + length) - panelBytes(T, in.k), in, fetch);
  for (int first = 0; first < panelColumns; first += C * lanes) {
    const Prefetch* fetching = first == 0 ? &ahead : nullptr;
    if constexpr (wholeRow(panelForm(T))) {
      addRow<T, R, C>(w, in, length, sums + first, fetching, first);
    } else {
      addGroups<T, R, C>(w, in, length, sums + first, fetching, first);
    }
  }
}

template <Format T, int R>
constexpr Tile groupTileOrNone() {
  if constexpr (R <= integerRows(T)) return groupTile<T, R>;
  return nullptr;
}

template <Format T, int... R>
constexpr Tiles makeGroupTiles(std::integer_sequence<int, R...>) {
  return {{groupTileOrNone<T, R + 1>()...}, integerRows(T)};
}

template <Format T>
constexpr Tiles groupTilesOf = makeGroupTiles<T>(std::make_integer_sequence<int, tileRows>());

}  // namespace loquent::LOQUENT_ISA
