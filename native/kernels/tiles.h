// The register tiles of `linear`: some rows of x times one panel. Internal linkage but for the tables, as in simd.h.
#pragma once
#include "../core/panels.h"
#include "call.h"

namespace loquent::LOQUENT_ISA {

/** Rows of x, as float32 or as `encode` left them, from column `k` of k on. */
struct Input {
  const uint8_t* rows;
  /** Bytes from row to row, and columns of k in all. */
  int64_t stride;
  int32_t width, k;
};

/** Most rows of any tile: what the registers can hold of the sums, two vectors of columns a row. */
constexpr int tileRows = lanes == 16 ? 12 : 6;

/**
 * Adds `length` columns of k to the sums, [rows][32], of a tile. `w` stands at the first of them in the panel. `fetch`
 * asks for what comes later to be fetched from memory: on the first tile that reads a panel.
 */
using Tile = void (*)(const uint8_t* w, const Input& x, int32_t length, float* sums, bool fetch);

/** Tiles of 1 to `most` rows, the height that was measured to be best. */
struct Tiles {
  Tile of[tileRows];
  int32_t most;
};

/** Tables of the formats that each source multiplies. */
const Tiles& floatTiles(Format f);
const Tiles& byteTiles(Format f);
const Tiles& nibbleTiles(Format f);

/** How far ahead of the products a panel that comes from memory is fetched. */
constexpr int prefetchBytes = 4096;

LOQUENT_INLINE void prefetch(const uint8_t* p, int64_t bytes) {
  for (int64_t b = 0; b < bytes; b += 64) __builtin_prefetch(p + prefetchBytes + b);
}

template <int R, int C>
LOQUENT_INLINE void loadSums(const float* from, V (&sum)[R][C]) {
  for (int r = 0; r < R; r++) {
    for (int c = 0; c < C; c++) sum[r][c] = load(from + r * panelColumns + c * lanes);
  }
}
template <int R, int C>
LOQUENT_INLINE void storeSums(float* to, const V (&sum)[R][C]) {
  for (int r = 0; r < R; r++) {
    for (int c = 0; c < C; c++) store(to + r * panelColumns + c * lanes, sum[r][c]);
  }
}

}  // namespace loquent::LOQUENT_ISA
