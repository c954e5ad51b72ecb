// The register tiles of `linear`: some rows of x times one panel. Internal linkage but for the tables, as in simd.h.
#pragma once
#include "../core/panels.h"
#include "call.h"

#define LOQUENT_MEMBER inline __attribute__((always_inline))

namespace loquent::LOQUENT_ISA {

/** Rows of x, as float32 or as `encode` left them, from column `k` of k on. */
struct Input {
  const uint8_t* rows;
  /** Bytes from row to row, and columns of k in all. */
  int64_t stride;
  int32_t width, k;
  /** Weights that this thread will probably read when the panel is done with all rows; null where nobody knows. */
  const uint8_t* next = nullptr;
};

/** Most rows of any tile: what the registers can hold of the sums, two vectors of columns a row. */
constexpr int tileRows = lanes == 16 ? 12 : 6;

/**
 * Adds `length` columns of k to the sums, [rows][32], of a tile, which begin with the first column. `w` stands at the first of them in the panel. `fetch`:
 * this is the first tile that reads them, so they come from memory.
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
const Tiles& groupTiles(Format f);
const Tiles& codeTiles(Format f);

/** How far ahead of the products a panel that comes from memory is fetched. */
constexpr int64_t prefetchBytes = 8192;

/**
 * What a tile asks to be fetched while it multiplies. The first tile of a panel runs ahead of itself, and at the end into
 * what is read next; another one, whose weights are in the cache, fetches what is read next, if it is told: memory then works while it does.
 */
class Prefetch {
 public:
  Prefetch(const uint8_t* w, int64_t bytes, const Input& x, bool fetch)
      : w_(w), next_(x.next || !fetch ? x.next : w + bytes), last_(fetch ? bytes - prefetchBytes : 0) {}
  /** For the stretch of the panel at `p` that is multiplied now. */
  LOQUENT_MEMBER void at(const uint8_t* p, int64_t bytes) const {
    if (!next_) return;
    const int64_t done = p - w_;
    const uint8_t* from = done < last_ ? p + prefetchBytes : next_ + (done - last_);
    for (int64_t b = 0; b < bytes; b += 64) __builtin_prefetch(from + b);
  }

 private:
  const uint8_t *w_, *next_;
  int64_t last_;
};

/** The sums at column `k` of k, of which there are none before the first. */
template <int R, int C>
LOQUENT_INLINE void loadSums(int32_t k, const float* from, V (&sum)[R][C]) {
  for (int r = 0; r < R; r++) {
    for (int c = 0; c < C; c++) sum[r][c] = k == 0 ? splat(0.0f) : load(from + r * panelColumns + c * lanes);
  }
}
template <int R, int C>
LOQUENT_INLINE void storeSums(float* to, const V (&sum)[R][C]) {
  for (int r = 0; r < R; r++) {
    for (int c = 0; c < C; c++) store(to + r * panelColumns + c * lanes, sum[r][c]);
  }
}

}  // namespace loquent::LOQUENT_ISA
