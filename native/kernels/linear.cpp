// out = activation(x . weight^T + bias), from panels of 64 output columns. Twin: backends/reference.
//
// Lanes are output columns and k is walked in ascending order with one fused accumulator an output, so a row's bits
// depend on nothing but the row: not on how many rows there are, on the tile it falls in, nor on where k is cut,
// since a partial sum that is stored and loaded again is the same float. All formats give the bits that the
// dequantized matrix would give.
#include "call.h"

namespace loquent::LOQUENT_ISA {
namespace {

constexpr int tileRows = 6;
/** Columns of k whose 64 outputs, as float32, stay in a first or second level cache. */
constexpr int32_t sliceLength = 256;
/**
 * From this many rows on, a slice is decoded once to float32 and read by every tile. Where one or two instructions
 * widen a vector of 16-bit floats they hide behind the products, and decoding was measured to cost more than it saves.
 */
constexpr int32_t decodeFrom(Format f) {
  const bool widensCheaply = lanes >= 8 && (f == Format::bf16 || f == Format::f16);
  return f == Format::f32 || widensCheaply ? INT32_MAX : 2 * tileRows + 1;
}
/** Rows of a piece of work; the accumulators of so many rows live in scratch. */
constexpr int32_t blockRows = 96;
constexpr int32_t smallBlockRows = 48;
/** How far ahead of the multiplication a streaming panel is fetched. */
constexpr int prefetchBytes = 4096;

constexpr int64_t elementBytes(Format f) { return f == Format::f32 ? 4 : 2; }

/** Bytes of a panel's first `k` columns. */
LOQUENT_INLINE int64_t panelBytes(Format f, int64_t k) {
  return f == Format::q8_0 ? k / 32 * panelColumns * 34 : k * panelColumns * elementBytes(f);
}

template <Format T>
LOQUENT_INLINE V loadWeights(const uint8_t* line, int column) {
  if constexpr (T == Format::f32) return load(reinterpret_cast<const float*>(line) + column);
  if constexpr (T == Format::f16) return loadHalf(line + 2 * column);
  if constexpr (T == Format::bf16) return loadBrain(line + 2 * column);
  return loadBytes(line + column);
}

/**
 * Vectors a tile of so many rows is wide: as many accumulators as the registers hold, and enough to hide the latency of
 * one row; for half a panel, no more than that has.
 */
constexpr int tileVectors(int rows, bool half) {
  if (lanes == 16) return half ? 2 : 4;
  if (rows == 1) return half && lanes == 8 ? 4 : 8;
  return rows == 2 ? 4 : 2;
}

/** One k for all rows of a tile. */
template <Format T, int R, int C>
LOQUENT_INLINE void multiply(const uint8_t* line, int column, const V* scale, const float* x, int64_t stride, V (&sum)[R][C]) {
  V w[C];
  for (int c = 0; c < C; c++) {
    w[c] = loadWeights<T>(line, column + c * lanes);
    if constexpr (T == Format::q8_0) w[c] = w[c] * scale[c];
  }
  for (int r = 0; r < R; r++) {
    const V a = splat(x[r * stride]);
    for (int c = 0; c < C; c++) sum[r][c] = fma(a, w[c], sum[r][c]);
  }
}

struct Columns {
  int32_t begin, end;
};

/** Adds k in [0, length) to some of the 64 sums of R rows; `w` and `x` stand at the first. */
template <Format T, int R, int C>
void tile(const uint8_t* w, const float* x, int64_t stride, int32_t length, float* sums, Columns columns, bool fetch) {
  constexpr int64_t lineStep = T == Format::q8_0 ? panelColumns : panelColumns * elementBytes(T);
  for (int32_t column = columns.begin; column < columns.end; column += C * lanes) {
    V sum[R][C];
    for (int r = 0; r < R; r++) {
      for (int c = 0; c < C; c++) sum[r][c] = load(sums + r * panelColumns + column + c * lanes);
    }
    const uint8_t* line = w;
    const auto prefetch = [&] {
      if (R <= 2 && fetch) {
        for (int64_t b = 0; b < C * lanes * lineStep / panelColumns; b += 64) {
          __builtin_prefetch(line + prefetchBytes + column * (lineStep / panelColumns) + b);
        }
      }
    };
    if constexpr (T == Format::q8_0) {
      for (int32_t k = 0; k < length; k += 32) {
        V scale[C];
        for (int c = 0; c < C; c++) scale[c] = loadHalf(line + 2 * (column + c * lanes));
        line += 2 * panelColumns;
        for (int i = 0; i < 32; i++, line += lineStep) {
          prefetch();
          multiply<T, R, C>(line, column, scale, x + k + i, stride, sum);
        }
      }
    } else {
      for (int32_t k = 0; k < length; k++, line += lineStep) {
        prefetch();
        multiply<T, R, C>(line, column, nullptr, x + k, stride, sum);
      }
    }
    for (int r = 0; r < R; r++) {
      for (int c = 0; c < C; c++) store(sums + r * panelColumns + column + c * lanes, sum[r][c]);
    }
  }
}

using Tile = void (*)(const uint8_t*, const float*, int64_t, int32_t, float*, Columns, bool);

template <Format T, bool half>
constexpr Tile tilesOf[tileRows] = {
    tile<T, 1, tileVectors(1, half)>, tile<T, 2, tileVectors(2, half)>, tile<T, 3, tileVectors(3, half)>,
    tile<T, 4, tileVectors(4, half)>, tile<T, 5, tileVectors(5, half)>, tile<T, 6, tileVectors(6, half)>,
};

const Tile* tiles(Format f, bool half) {
  switch (f) {
    case Format::f16: return half ? tilesOf<Format::f16, true> : tilesOf<Format::f16, false>;
    case Format::bf16: return half ? tilesOf<Format::bf16, true> : tilesOf<Format::bf16, false>;
    case Format::q8_0: return half ? tilesOf<Format::q8_0, true> : tilesOf<Format::q8_0, false>;
    default: return half ? tilesOf<Format::f32, true> : tilesOf<Format::f32, false>;
  }
}

template <Format T>
void decodeSlice(const uint8_t* w, int32_t length, float* to) {
  for (int32_t k = 0; k < length; k++, to += panelColumns) {
    if constexpr (T == Format::q8_0) {
      const uint8_t* block = w + panelBytes(T, k);
      for (int c = 0; c < panelColumns; c += lanes) {
        store(to + c, loadWeights<T>(block + (2 + k % 32) * panelColumns, c) * loadHalf(block + 2 * c));
      }
    } else {
      for (int c = 0; c < panelColumns; c += lanes) store(to + c, loadWeights<T>(w + panelBytes(T, k), c));
    }
  }
}

void decodeSlice(Format f, const uint8_t* w, int32_t length, float* to) {
  if (f == Format::f16) decodeSlice<Format::f16>(w, length, to);
  if (f == Format::bf16) decodeSlice<Format::bf16>(w, length, to);
  if (f == Format::q8_0) decodeSlice<Format::q8_0>(w, length, to);
}

void finish(const Step& s, const op::Linear& o, int32_t row, int32_t first, Columns columns, const float* sums) {
  float* out = rowOf(s, o.out, row) + first;
  const bool biased = o.bias.space != static_cast<int32_t>(Space::none);
  const float* bias = biased ? rowOf(s, o.bias, 0) + first : nullptr;
  const int32_t width = least(columns.end, o.out.width - first);
  for (int32_t c = columns.begin; c < width; c += 16) {
    const int some = least(16, width - c);
    F y = loadF(sums + c);
    if (biased) y = y + loadSome(bias + c, some);
    if (o.activation != Activation::none) y = activate(o.activation, y);
    if (some == 16) {
      storeF(out + c, y);
    } else {
      storeSome(out + c, y, some);
    }
  }
}

/** How the product falls into pieces: some rows times a panel, or half a one. */
struct Cut {
  int32_t rows, columns, across;
};

Cut cutOf(const Step& s, const op::Linear& o) {
  // Larger pieces decode and fetch a panel less often, smaller ones share the work out better.
  constexpr int32_t piecesPerThread = 8;
  const int32_t rows = rowsOf(s, o.out), panels = ceilDiv(o.out.width, panelColumns), enough = piecesPerThread * s.threads;
  const bool half = rows <= tileRows && s.threads > 1 && panels < enough;
  const int32_t columns = half ? panelColumns / 2 : panelColumns;
  return {ceilDiv(rows, blockRows) * panels >= enough ? blockRows : smallBlockRows, columns, ceilDiv(o.out.width, columns)};
}

int32_t tasks(const Step& s, const void* record) {
  const auto& o = as<op::Linear>(record);
  const Cut cut = cutOf(s, o);
  return cut.across * ceilDiv(rowsOf(s, o.out), cut.rows);
}

void run(const Step& s, const void* record, int32_t task, uint8_t* scratch) {
  const auto& o = as<op::Linear>(record);
  const Cut cut = cutOf(s, o);
  const int32_t first = task % cut.across * cut.columns, panel = first / panelColumns;
  const Columns columns = {first % panelColumns, first % panelColumns + cut.columns};
  const int32_t begin = task / cut.across * cut.rows;
  const int32_t rows = least(cut.rows, rowsOf(s, o.out) - begin), length = o.weight.width;
  const Format format = formatOf(o.weight);
  const uint8_t* w = bytesOf(s, o.weight) + panel * panelBytes(format, length);
  float* sums = reinterpret_cast<float*>(scratch);
  float* decoded = sums + blockRows * panelColumns;
  memset(sums, 0, static_cast<size_t>(rows) * panelColumns * 4);
  const bool decodes = rows >= decodeFrom(format);
  const Tile* chosen = tiles(decodes ? Format::f32 : format, cut.columns < panelColumns);
  // With one tile of rows the panel is read once: no need to cut it.
  const int32_t slice = rows <= tileRows ? length : sliceLength;
  for (int32_t k = 0; k < length; k += slice) {
    const int32_t count = least(slice, length - k);
    const uint8_t* from = w + panelBytes(format, k);
    if (decodes) decodeSlice(format, from, count, decoded);
    const uint8_t* weights = decodes ? reinterpret_cast<const uint8_t*>(decoded) : from;
    for (int32_t r = 0; r < rows; r += tileRows) {
      const int32_t some = least(tileRows, rows - r);
      chosen[some - 1](weights, rowOf(s, o.x, begin + r) + k, o.x.stride, count, sums + r * panelColumns, columns, !decodes);
    }
  }
  for (int32_t r = 0; r < rows; r++) finish(s, o, begin + r, panel * panelColumns, columns, sums + r * panelColumns);
}

size_t scratch(const Limits&, const void*) { return static_cast<size_t>(blockRows + sliceLength) * panelColumns * 4; }

}  // namespace

extern const Kernel linear = {tasks, run, scratch};

}  // namespace loquent::LOQUENT_ISA
