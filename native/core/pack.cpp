#include "pack.h"

#include <string.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "formats.h"
#include "panels.h"

namespace loquent {

namespace {

constexpr int64_t rowsPerTask = 64;

struct Row {
  const uint8_t* data;
  Format format;
};

Row rowOf(const Packing& p, int64_t row) {
  for (const Part& part : p.parts) {
    if (row < part.rows) return {part.data + row * formatBytes(part.format, p.columns), part.format};
    row -= part.rows;
  }
  return {nullptr, Format::f32};
}

/** Elements `[from, from + count)` of a row in the format of the packing, by way of float32. */
void convert(const Packing& p, Row row, int64_t from, int64_t count, uint8_t* to) {
  float values[formatPiece];
  decodePiece(row.format, row.data, from, count, values);
  encode(p.format, values, to, count);
}

void packRow(const Packing& p, Row row, uint8_t* to) {
  if (row.format == p.format) {
    memcpy(to, row.data, static_cast<size_t>(formatBytes(p.format, p.columns)));
    return;
  }
  for (int64_t c = 0; c < p.columns; c += formatPiece) {
    const int64_t count = p.columns - c < formatPiece ? p.columns - c : formatPiece;
    convert(p, row, c, count, to + formatOffset(p.format, c));
  }
}

void packRows(const Packing& p, int32_t task) {
  const int64_t bytes = formatBytes(p.format, p.columns);
  const int64_t end = (task + 1) * rowsPerTask < p.rows ? (task + 1) * rowsPerTask : p.rows;
  for (int64_t r = task * rowsPerTask; r < end; r++) packRow(p, rowOf(p, r), p.to + r * bytes);
}

void packPanel(const Packing& p, int32_t task, uint8_t* scratch) {
  const int64_t first = static_cast<int64_t>(task) * panelColumns, bytes = panelBytes(p.format, p.columns);
  uint8_t* panel = p.to + task * bytes;
  const int64_t columns = p.rows - first < panelColumns ? p.rows - first : panelColumns;
  if (columns < panelColumns) memset(panel, 0, static_cast<size_t>(bytes));
  for (int64_t k = 0; k < p.columns; k += formatPiece) {
    const int64_t count = p.columns - k < formatPiece ? p.columns - k : formatPiece;
    for (int64_t n = 0; n < columns; n++) {
      const Row row = rowOf(p, first + n);
      const uint8_t* stored = row.data + formatOffset(row.format, k);
      if (row.format != p.format) {
        convert(p, row, k, count, scratch);
        stored = scratch;
      }
      packColumn(p.format, row.data, stored, count, panel, k, n);
    }
  }
}

[[noreturn]] void refuse(const std::string& reason) { throw std::runtime_error("upload: " + reason); }

bool wholeBlocks(Format format, int64_t columns) {
  const int32_t id = static_cast<int32_t>(format);
  return id >= 0 && id < formatCount && columns % formatShapes[id].elementsPerBlock == 0;
}

}  // namespace

int64_t packedBytes(Format format, Layout layout, int64_t rows, int64_t columns) {
  if (layout == Layout::rows) return rows * formatBytes(format, columns);
  return (rows + panelColumns - 1) / panelColumns * panelBytes(format, columns);
}

namespace {

/** A panel has one table. */
void checkTables(const Packing& p) {
  const size_t bytes = static_cast<size_t>(panelForm(p.format).table);
  for (int64_t r = 0; r < p.rows; r++) {
    const uint8_t* first = rowOf(p, r / panelColumns * panelColumns).data;
    if (memcmp(first, rowOf(p, r).data, bytes) != 0) refuse("rows of a panel have different tables");
  }
}

}  // namespace

void checkPacking(const Packing& p, int64_t bytesAvailable, const std::vector<int64_t>& partBytes) {
  if (p.rows <= 0 || p.columns <= 0 || p.rows > INT32_MAX || p.columns > INT32_MAX) refuse("the weight is empty");
  if (!wholeBlocks(p.format, p.columns)) refuse("a row is not whole blocks of the target format");
  if (p.layout != Layout::rows && p.layout != Layout::panels) refuse("unknown layout");
  if (packedBytes(p.format, p.layout, p.rows, p.columns) > bytesAvailable) refuse("the weight does not fit its place");
  int64_t rows = 0;
  for (size_t i = 0; i < p.parts.size(); i++) {
    const Part& part = p.parts[i];
    if (!wholeBlocks(part.format, p.columns)) refuse("a stored row is not whole blocks");
    if (part.format != p.format && !encodable(p.format)) refuse("cannot convert to the target format");
    if (part.rows < 0 || partBytes[i] != part.rows * formatBytes(part.format, p.columns)) refuse("a part has the wrong size");
    rows += part.rows;
  }
  if (rows != p.rows) refuse("the parts are " + std::to_string(rows) + " rows of " + std::to_string(p.rows));
  if (p.layout == Layout::panels && quantized(p.format) && panelForm(p.format).table) checkTables(p);
}

namespace {

/** Stored bytes that are read between two times that the pages they came from are let go. */
constexpr int64_t sliceBytes = 8 << 20;

/** Lets go of the file pages of rows `[from, to)`, which have been read. */
void dropRows(const Packing& p, int64_t from, int64_t to) {
  int64_t first = 0;
  for (const Part& part : p.parts) {
    const int64_t begin = std::max(from - first, int64_t{0}), end = std::min(to - first, part.rows);
    const int64_t bytes = formatBytes(part.format, p.columns);
    if (begin < end) Memory::drop(part.data + begin * bytes, static_cast<size_t>((end - begin) * bytes));
    first += part.rows;
  }
}

/** A slice of tasks is a batch. */
class PackJob : public Job {
 public:
  PackJob(Packing packing, std::shared_ptr<Memory> memory, int32_t threads)
      : p_(std::move(packing)), memory_(std::move(memory)), perTask_(p_.layout == Layout::panels ? panelColumns : rowsPerTask) {
    tasks_ = static_cast<int32_t>((p_.rows + perTask_ - 1) / perTask_);
    const int64_t taskBytes = std::max<int64_t>(1, perTask_ * formatBytes(p_.parts[0].format, p_.columns));
    most_ = static_cast<int32_t>(std::min<int64_t>(std::max<int64_t>(sliceBytes / taskBytes, threads), tasks_));
  }
  size_t scratchBytes() const override { return formatPiece * 4; }

  bool next(Batch& batch) override {
    if (next_ > 0) dropRows(p_, first_ * perTask_, std::min(next_ * perTask_, p_.rows));
    first_ = next_;
    next_ = std::min(first_ + most_, tasks_);
    batch = {next_ - first_, run, nullptr, this, nullptr};
    return first_ < tasks_;
  }

 private:
  static void run(const void* context, const void*, int32_t piece, uint8_t* scratch) {
    const PackJob& job = *static_cast<const PackJob*>(context);
    if (job.p_.layout == Layout::panels) {
      packPanel(job.p_, job.first_ + piece, scratch);
    } else {
      packRows(job.p_, job.first_ + piece);
    }
  }

  Packing p_;
  std::shared_ptr<Memory> memory_;
  int64_t perTask_;
  int32_t tasks_, most_, first_ = 0, next_ = 0;
};

}  // namespace

std::unique_ptr<Job> pack(Packing packing, std::shared_ptr<Memory> memory, int32_t threads) {
  return std::make_unique<PackJob>(std::move(packing), std::move(memory), threads);
}

}  // namespace loquent
