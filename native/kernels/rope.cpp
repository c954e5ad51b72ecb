// ropeTable and rope. Twin: backends/reference.
#include <math.h>

#include "rotation.h"

namespace loquent::LOQUENT_ISA {
namespace {

int32_t tableTasks(const Step& s, const void* record) { return ceilDiv(rowsOf(s, as<op::RopeTable>(record).out), 64); }

/** Frequency i of a sequence longer than the model was made for: the base grows with the length (dynamic NTK). */
float stretchedFrequency(const op::RopeTable& o, int32_t i, int32_t length) {
  const double rotary = 2.0 * o.frequencies.width;
  const double growth = static_cast<double>(o.dynamicFactor) * length / o.threshold - (static_cast<double>(o.dynamicFactor) - 1);
  const float base = static_cast<float>(static_cast<double>(o.base) * pow(growth, rotary / (rotary - 2)));
  const float exponent = static_cast<float>(2 * i) / static_cast<float>(rotary);
  return 1.0f / static_cast<float>(pow(static_cast<double>(base), static_cast<double>(exponent)));
}

void runTable(const Step& s, const void* record, int32_t task, uint8_t*) {
  const auto& o = as<op::RopeTable>(record);
  const int32_t* positions = reinterpret_cast<const int32_t*>(bytesOf(s, o.positions));
  const int32_t* lengths = reinterpret_cast<const int32_t*>(bytesOf(s, o.lengths));
  const int32_t half = o.frequencies.width, end = least((task + 1) * 64, rowsOf(s, o.out));
  for (int32_t r = task * 64; r < end; r++) {
    const bool isLong = lengths[r] > o.threshold;
    const bool stretched = isLong && o.dynamicFactor > 0;
    const float* row = rowOf(s, o.frequencies, isLong && !stretched && o.frequencies.rows > 1 ? 1 : 0);
    const float scale = isLong ? o.scaleLong : o.scaleShort;
    float* out = rowOf(s, o.out, r);
    for (int32_t i = 0; i < half; i++) {
      const float frequency = stretched ? stretchedFrequency(o, i, lengths[r]) : row[i];
      const double angle = static_cast<double>(static_cast<float>(positions[r]) * frequency);
      out[i] = static_cast<float>(cos(angle)) * scale;
      out[half + i] = static_cast<float>(sin(angle)) * scale;
    }
  }
}

int32_t ropeTasks(const Step& s, const void* record) { return rowTasks(s, as<op::Rope>(record).out); }

void runRope(const Step& s, const void* record, int32_t task, uint8_t*) {
  const auto& o = as<op::Rope>(record);
  const int32_t half = o.table.width / 2;
  const Rows rows = taskRows(s, o.out, task);
  for (int32_t r = rows.begin; r < rows.end; r++) {
    const float *table = rowOf(s, o.table, r), *x = rowOf(s, o.x, r);
    float* out = rowOf(s, o.out, r);
    for (int32_t h = 0; h < o.heads; h++) rotateHead(o.style, x + h * o.headDim, table, half, out + h * o.headDim, o.headDim);
  }
}

}  // namespace

extern const Kernel ropeTable = {tableTasks, runTable, noScratch};
extern const Kernel rope = {ropeTasks, runRope, noScratch};

}  // namespace loquent::LOQUENT_ISA
