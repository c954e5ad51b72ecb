// out = activation(x . weight^T + bias), and the same with a gate, from panels of 32 output columns. Twin:
// backends/reference.
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
/** Pieces a thread should find: enough that the last of them is soon done, few enough that each is worth a look at the clock. */
constexpr int32_t piecesPerThread = 12;
/** Panels of a piece, where rows are few; their sums live in scratch too. */
constexpr int32_t mostTogether = 8;
/** Outputs of more bytes have left the caches of a thread when they are written; to ask for what is near costs more than it helps. */
constexpr int64_t farBytes = 1 << 20;

const Tiles& tilesOf(Format f) {
  if (!quantized(f)) return floatTiles(f);
  return panelForm(f).integers == Integers::bytes ? byteTiles(f) : nibbleTiles(f);
}

/** The columns of a panel in some rows of `out`. Sums are whole panels, of which the last has more columns than `out`. */
struct Target {
  uint8_t* out;
  /** Bytes from a row to the next, and of these columns in a row. */
  int64_t stride, bytes;
  int32_t width;
  Format format;
  Target(const Step& s, const Operand& o, int32_t row, int32_t first)
      : out(reinterpret_cast<uint8_t*>(rowOf(s, o, row))), stride(static_cast<int64_t>(o.stride) * 4), width(least(panelColumns, o.width - first)), format(formatOf(o)) {
    out += bytesOfColumns(first);
    bytes = bytesOfColumns(width);
  }
  int64_t bytesOfColumns(int32_t count) const { return format == Format::f32 ? int64_t{4} * count : encodedBytes(format, count); }

  /** Asks for the lines of some rows, to write them. */
  void expect(int32_t row, int32_t rows) const {
    for (const uint8_t* to = out + row * stride; rows > 0; rows--, to += stride) {
      __builtin_prefetch(to, 1);
      __builtin_prefetch(to + (bytes > lineBytes ? lineBytes : 0), 1);
    }
  }
  /** `result(c)`: 16 columns from column c of a panel. */
  template <typename Result>
  LOQUENT_MEMBER void write(int32_t row, Result result) const {
    float* to = reinterpret_cast<float*>(out + row * stride);
    if (width == panelColumns) {
      for (int32_t c = 0; c < panelColumns; c += 16) storeF(to + c, result(c));
    } else {
      for (int32_t c = 0; c < width; c += 16) storeSome(to + c, result(c), least(16, width - c));
    }
  }
};

/** Rows of a panel that are rounded together: blocks of 32 side by side. */
constexpr int32_t roundedRows = 4;

/** Rounds some rows of a panel and writes them. */
void writeRounded(const Target& to, int32_t row, int32_t rows, float (&values)[roundedRows][panelColumns]) {
  const int64_t block = encodedBytes(to.format, panelColumns);
  uint8_t blocks[roundedRows * panelColumns * 4];
  // A number beyond an odd width is there, and is nothing.
  for (int32_t r = 0; r < rows && to.width < panelColumns; r++) memset(values[r] + to.width, 0, static_cast<size_t>(panelColumns - to.width) * 4);
  encodeRow(to.format, values[0], rows * panelColumns, blocks);
  for (int32_t r = 0; r < rows; r++) memcpy(to.out + (row + r) * to.stride, blocks + r * block, static_cast<size_t>(to.bytes));
}

/** activation(sums + bias); `bias` may be null. */
template <Activation A>
void finish(const Target& to, int32_t rows, const float* sums, const float* bias) {
  if (!bias) {
    for (int32_t r = 0; r < rows; r++, sums += panelColumns) to.write(r, [&](int32_t c) { return activate<A>(loadF(sums + c)); });
    return;
  }
  float added[panelColumns] = {};
  memcpy(added, bias, static_cast<size_t>(to.width) * 4);
  for (int32_t r = 0; r < rows; r++, sums += panelColumns) {
    to.write(r, [&](int32_t c) { return activate<A>(loadF(sums + c) + loadF(added + c)); });
  }
}

/** activation(gate) * up, in rows of their own. */
template <Activation A>
void finishGated(const Target& to, int32_t rows, const float* gate, const float* up) {
  float values[roundedRows][panelColumns];
  for (int32_t r = 0; to.format != Format::f32 && r < rows; r += roundedRows) {
    const int32_t some = least(roundedRows, rows - r);
    for (int32_t i = 0; i < some * panelColumns; i += 16, gate += 16, up += 16) storeF(values[0] + i, activate<A>(loadF(gate)) * loadF(up));
    writeRounded(to, r, some, values);
  }
  if (to.format != Format::f32) return;
  for (int32_t r = 0; r < rows; r++, gate += panelColumns, up += panelColumns) {
    to.write(r, [&](int32_t c) { return activate<A>(loadF(gate + c)) * loadF(up + c); });
  }
}

/** What linear and gatedLinear have in common. */
struct Product {
  const Operand &x, &weight, &out;
};

/** How the product falls into pieces: some rows times some panels of the output. */
struct Cut {
  int32_t begin, rows, from, to;
};

/** Panels of a piece, and pieces side by side and one below another. */
struct Grid {
  int32_t panels, together, across, down;
};

Grid gridOf(const Step& s, const Operand& out) {
  const int32_t rows = rowsOf(s, out), panels = ceilDiv(out.width, panelColumns), down = ceilDiv(rows, blockRows);
  const int32_t room = least(mostTogether, rows > 0 ? blockRows / least(rows, blockRows) : 1);
  const int32_t wanted = panels * down / (piecesPerThread * s.threads), together = wanted < 1 ? 1 : least(wanted, room);
  return {panels, together, ceilDiv(panels, together), down};
}

Cut cutOf(const Step& s, const Operand& out, int32_t task) {
  const Grid g = gridOf(s, out);
  const int32_t begin = task / g.across * blockRows, from = task % g.across * g.together;
  return {begin, least(blockRows, rowsOf(s, out) - begin), from, least(from + g.together, g.panels)};
}

int32_t tasksOf(const Step& s, const Operand& out) {
  const Grid g = gridOf(s, out);
  return g.across * g.down;
}

/** All of k for one panel and some rows. `x.next` is what is read after it; `far`, unless null, what is to be asked for meanwhile. */
void multiplyPanel(const Tiles& tiles, Format format, const uint8_t* panel, Input x, int32_t rows, float* sums, const Target* far) {
  const uint8_t* first = x.rows;
  const int32_t count = ceilDiv(rows, tiles.most);
  // With one tile of rows the panel is read once: no need to cut it.
  const int32_t slice = count == 1 ? x.width : sliceLength;
  const uint8_t* next = x.next;
  for (x.k = 0; x.k < x.width; x.k += slice) {
    const int32_t length = least(slice, x.width - x.k);
    const uint8_t* following = x.k + length < x.width ? panel + panelBytes(format, x.k + length) : next;
    int32_t r = 0;
    for (int32_t i = 0; i < count; i++) {
      // Tiles of nearly the same height: a low one makes poor use of what it loads.
      const int32_t some = (rows - r) / (count - i);
      x.rows = first + r * x.stride;
      // The second tile fetches it all; later ones would ask for what is there.
      x.next = i <= 1 ? following : nullptr;
      if (far && x.k == 0) far->expect(r, some);
      tiles.of[some - 1](panel + panelBytes(format, x.k), x, length, sums + r * panelColumns, i == 0);
      r += some;
    }
  }
}

/** The sums of one panel of the weight and the rows of a piece. */
struct Panels {
  const Step& s;
  const Product& p;
  const Cut& cut;
  const uint8_t* at(int32_t panel) const { return bytesOf(s, p.weight) + panel * panelBytes(formatOf(p.weight), p.x.width); }
  /** `next`: the panel that comes after, which may be one past the last. `first`: the sums are of the columns of `out` with that number. */
  void multiply(int32_t panel, int32_t next, float* sums, bool first = true) const {
    const Format format = formatOf(p.weight);
    const uint8_t* rows = reinterpret_cast<const uint8_t*>(rowOf(s, p.x, cut.begin));
    const bool known = next * panelColumns < p.weight.rows;
    const Input x = {rows, static_cast<int64_t>(p.x.stride) * 4, p.x.width, 0, known ? at(next) : nullptr};
    const Target to(s, p.out, cut.begin, panel * panelColumns);
    const bool far = first && static_cast<int64_t>(rowsOf(s, p.out)) * p.out.stride * 4 > farBytes;
    multiplyPanel(tilesOf(format), format, at(panel), x, cut.rows, sums, far ? &to : nullptr);
  }
};

constexpr int64_t panelSums = static_cast<int64_t>(blockRows) * panelColumns;

// Sums are computed aside and written in the end, so that another thread may do the same piece (Batch, core/job.h).

int32_t tasks(const Step& s, const void* record) { return tasksOf(s, as<op::Linear>(record).out); }

void run(const Step& s, const void* record, int32_t task, uint8_t* scratch) {
  const auto& o = as<op::Linear>(record);
  const Cut cut = cutOf(s, o.out, task);
  const Product product = {o.x, o.weight, o.out};
  float* sums = reinterpret_cast<float*>(scratch);
  for (int32_t panel = cut.from; panel < cut.to; panel++, sums += cut.rows * panelColumns) {
    Panels{s, product, cut}.multiply(panel, panel + 1, sums);
  }
}

void commit(const Step& s, const void* record, int32_t task, const uint8_t* scratch) {
  constexpr void (*byActivation[])(const Target&, int32_t, const float*, const float*) = {
      finish<Activation::none>,      finish<Activation::relu>,       finish<Activation::gelu>,
      finish<Activation::gelu_tanh>, finish<Activation::quick_gelu>, finish<Activation::silu>,
  };
  const auto& o = as<op::Linear>(record);
  const Cut cut = cutOf(s, o.out, task);
  const bool biased = o.bias.space != static_cast<int32_t>(Space::none);
  const float* sums = reinterpret_cast<const float*>(scratch);
  for (int32_t panel = cut.from; panel < cut.to; panel++, sums += cut.rows * panelColumns) {
    const int32_t first = panel * panelColumns;
    byActivation[static_cast<int>(o.activation)]({s, o.out, cut.begin, first}, cut.rows, sums, biased ? rowOf(s, o.bias, 0) + first : nullptr);
  }
}

size_t scratch(const Limits&, const void*) { return panelSums * 4; }

int32_t gatedTasks(const Step& s, const void* record) { return tasksOf(s, as<op::GatedLinear>(record).out); }

/** Where the second half of a gated weight begins within a panel, its columns lie in two. */
struct Halves {
  int32_t last, shift;
  explicit Halves(const op::GatedLinear& o) : last((2 * o.out.width - 1) / panelColumns), shift(o.out.width % panelColumns) {}
};

/** For each panel of a piece: sums of the gate, of the panel where its other half begins, of the one after. */
void runGated(const Step& s, const void* record, int32_t task, uint8_t* scratch) {
  const auto& o = as<op::GatedLinear>(record);
  const Cut cut = cutOf(s, o.out, task);
  const Product product = {o.x, o.weight, o.out};
  const Panels panels = {s, product, cut};
  const Halves halves(o);
  const int64_t size = static_cast<int64_t>(cut.rows) * panelColumns;
  float* sums = reinterpret_cast<float*>(scratch);
  for (int32_t panel = cut.from; panel < cut.to; panel++, sums += 3 * size) {
    const int32_t other = (o.out.width + panel * panelColumns) / panelColumns;
    const bool split = halves.shift != 0 && other < halves.last;
    panels.multiply(panel, other, sums);
    panels.multiply(other, split ? other + 1 : panel + 1, sums + size, false);
    if (split) panels.multiply(other + 1, panel + 1, sums + 2 * size, false);
  }
}

void commitGated(const Step& s, const void* record, int32_t task, const uint8_t* scratch) {
  constexpr void (*byActivation[])(const Target&, int32_t, const float*, const float*) = {
      finishGated<Activation::none>,      finishGated<Activation::relu>,       finishGated<Activation::gelu>,
      finishGated<Activation::gelu_tanh>, finishGated<Activation::quick_gelu>, finishGated<Activation::silu>,
  };
  const auto& o = as<op::GatedLinear>(record);
  const Cut cut = cutOf(s, o.out, task);
  const Halves halves(o);
  const auto write = byActivation[static_cast<int>(o.activation)];
  const int64_t size = static_cast<int64_t>(cut.rows) * panelColumns;
  const float* gate = reinterpret_cast<const float*>(scratch);
  for (int32_t panel = cut.from; panel < cut.to; panel++, gate += 3 * size) {
    const int32_t first = panel * panelColumns, other = (o.out.width + first) / panelColumns;
    if (halves.shift == 0) {
      write({s, o.out, cut.begin, first}, cut.rows, gate, gate + size);
      continue;
    }
    for (int32_t r = 0; r < cut.rows; r++) {
      const float* second = gate + size + r * panelColumns;
      float joined[2 * panelColumns];
      memcpy(joined, second, panelColumns * 4);
      memcpy(joined + panelColumns, other < halves.last ? second + size : second, panelColumns * 4);
      write({s, o.out, cut.begin + r, first}, 1, gate + r * panelColumns, joined + halves.shift);
    }
  }
}

size_t gatedScratch(const Limits&, const void*) { return 3 * panelSums * 4; }

}  // namespace

extern const Kernel linear = {tasks, run, scratch, nullptr, commit};
extern const Kernel gatedLinear = {gatedTasks, runGated, gatedScratch, nullptr, commitGated};

}  // namespace loquent::LOQUENT_ISA
