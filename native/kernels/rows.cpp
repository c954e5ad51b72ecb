// embedding and selectRows: whole rows gathered. Twin: backends/reference.
#include "../core/formats.h"
#include "../core/panels.h"
#include "call.h"

namespace loquent::LOQUENT_ISA {
namespace {

int32_t embeddingTasks(const Step& s, const void* record) { return rowTasks(s, as<op::Embedding>(record).out); }

/** A row of the matrix is a column of a panel. */
void gatherColumn(const Operand& weight, const uint8_t* data, int64_t id, float* out) {
  const Format format = formatOf(weight);
  const uint8_t* panel = data + id / panelColumns * panelBytes(format, weight.width);
  unpackColumn(format, panel, weight.width, id % panelColumns, out);
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
