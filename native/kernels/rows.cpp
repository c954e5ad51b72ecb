// embedding and selectRows: whole rows gathered. Twin: backends/reference.
#include "../core/formats.h"
#include "call.h"

namespace loquent::LOQUENT_ISA {
namespace {

int32_t embeddingTasks(const Step& s, const void* record) { return rowTasks(s, as<op::Embedding>(record).out); }

/** A row of the matrix is a column of a panel. */
void gatherColumn(const Operand& weight, const uint8_t* data, int64_t id, float* out) {
  const Format format = formatOf(weight);
  const int64_t within = id % panelColumns;
  const uint8_t* panel = data + id / panelColumns * panelColumns * formatBytes(format, weight.width);
  for (int64_t k = 0; k < weight.width; k++) {
    if (format == Format::q8_0) {
      const uint8_t* block = panel + k / 32 * panelColumns * 34;
      float scale;
      decode(Format::f16, block + 2 * within, &scale, 1);
      out[k] = static_cast<float>(static_cast<int8_t>(block[(2 + k % 32) * panelColumns + within])) * scale;
    } else {
      decode(format, panel + formatBytes(format, k * panelColumns + within), out + k, 1);
    }
  }
}

void runEmbedding(const Step& s, const void* record, int32_t task, uint8_t*) {
  const auto& o = as<op::Embedding>(record);
  const int32_t* ids = reinterpret_cast<const int32_t*>(bytesOf(s, o.ids));
  const uint8_t* data = bytesOf(s, o.weight);
  const Format format = formatOf(o.weight);
  const Rows rows = taskRows(s, o.out, task);
  for (int32_t r = rows.begin; r < rows.end; r++) {
    float* out = rowOf(s, o.out, r);
    if (layoutOf(o.weight) == Layout::panels) {
      gatherColumn(o.weight, data, ids[r], out);
    } else {
      decode(format, data + ids[r] * formatBytes(format, o.weight.width), out, o.weight.width);
    }
  }
}

int32_t selectTasks(const Step& s, const void* record) { return rowTasks(s, as<op::SelectRows>(record).out); }

void runSelect(const Step& s, const void* record, int32_t task, uint8_t*) {
  const auto& o = as<op::SelectRows>(record);
  const int32_t* from = ints(s, Field::sampleRows);
  const Rows rows = taskRows(s, o.out, task);
  for (int32_t r = rows.begin; r < rows.end; r++) {
    memcpy(rowOf(s, o.out, r), rowOf(s, o.x, from[r]), static_cast<size_t>(o.out.width) * 4);
  }
}

}  // namespace

extern const Kernel embedding = {embeddingTasks, runEmbedding, noScratch};
extern const Kernel selectRows = {selectTasks, runSelect, noScratch};

}  // namespace loquent::LOQUENT_ISA
