// out = activation(x . weight^T + bias), from panels of 32 output columns. Twin: backends/reference.
//
// One order of k whatever the number of rows, the tile a row falls in or where k is cut: a partial sum that is stored
// and loaded again is the same float. So a row's bits depend on nothing but the row.
#include "tiles.h"

#include "functions.h"

namespace loquent::LOQUENT_ISA {
namespace {

/** Columns of k whose products with a panel's 32 columns stay in a second level cache; whole superblocks. */
constexpr int32_t sliceLength = 2048;
/** Rows of a piece of work; their sums live in scratch. */
constexpr int32_t blockRows = 48;
/** Pieces a thread should find: enough to share out well, few enough to stream through neighbouring panels. */
constexpr int32_t piecesPerThread = 16;

const Tiles& tilesOf(Format f) {
  if (!quantized(f)) return floatTiles(f);
  return panelForm(f).integers == Integers::bytes ? byteTiles(f) : nibbleTiles(f);
}

void finish(const Step& s, const op::Linear& o, int32_t row, int32_t first, const float* sums) {
  float* out = rowOf(s, o.out, row) + first;
  const bool biased = o.bias.space != static_cast<int32_t>(Space::none);
  const float* bias = biased ? rowOf(s, o.bias, 0) + first : nullptr;
  const int32_t width = least(panelColumns, o.out.width - first);
  for (int32_t c = 0; c < width; c += 16) {
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

/** How the product falls into pieces: some rows times some panels. */
struct Cut {
  int32_t rows, panels, across;
};

Cut cutOf(const Step& s, const op::Linear& o) {
  const int32_t panels = ceilDiv(o.out.width, panelColumns), down = ceilDiv(rowsOf(s, o.out), blockRows);
  const int32_t wanted = piecesPerThread * s.threads;
  const int32_t group = panels * down <= wanted ? 1 : least(panels, panels * down / wanted);
  return {blockRows, group, ceilDiv(panels, group)};
}

int32_t tasks(const Step& s, const void* record) {
  const auto& o = as<op::Linear>(record);
  return cutOf(s, o).across * ceilDiv(rowsOf(s, o.out), blockRows);
}

/** All of k for one panel and some rows. */
void multiplyPanel(const Tiles& tiles, Format format, const uint8_t* panel, Input x, int32_t rows, float* sums) {
  memset(sums, 0, static_cast<size_t>(rows) * panelColumns * 4);
  const uint8_t* first = x.rows;
  const int32_t count = ceilDiv(rows, tiles.most);
  // With one tile of rows the panel is read once: no need to cut it.
  const int32_t slice = count == 1 ? x.width : sliceLength;
  for (x.k = 0; x.k < x.width; x.k += slice) {
    const int32_t length = least(slice, x.width - x.k);
    int32_t r = 0;
    for (int32_t i = 0; i < count; i++) {
      // Tiles of nearly the same height: a low one makes poor use of what it loads.
      const int32_t some = (rows - r) / (count - i);
      x.rows = first + r * x.stride;
      tiles.of[some - 1](panel + panelBytes(format, x.k), x, length, sums + r * panelColumns, i == 0);
      r += some;
    }
  }
}

void run(const Step& s, const void* record, int32_t task, uint8_t* scratch) {
  const auto& o = as<op::Linear>(record);
  const Cut cut = cutOf(s, o);
  const Format format = formatOf(o.weight);
  const Tiles& tiles = tilesOf(format);
  const int32_t begin = task / cut.across * cut.rows, rows = least(cut.rows, rowsOf(s, o.out) - begin);
  const int32_t from = task % cut.across * cut.panels, to = least(from + cut.panels, ceilDiv(o.out.width, panelColumns));
  const Input x = {reinterpret_cast<const uint8_t*>(rowOf(s, o.x, begin)), static_cast<int64_t>(o.x.stride) * 4, o.x.width, 0};
  float* sums = reinterpret_cast<float*>(scratch);
  for (int32_t panel = from; panel < to; panel++) {
    multiplyPanel(tiles, format, bytesOf(s, o.weight) + panel * panelBytes(format, o.x.width), x, rows, sums);
    for (int32_t r = 0; r < rows; r++) finish(s, o, begin + r, panel * panelColumns, sums + r * panelColumns);
  }
}

size_t scratch(const Limits&, const void*) { return static_cast<size_t>(blockRows) * panelColumns * 4; }

}  // namespace

extern const Kernel linear = {tasks, run, scratch};

}  // namespace loquent::LOQUENT_ISA
