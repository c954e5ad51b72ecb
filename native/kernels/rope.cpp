// ropeTable and rope. Twin: backends/reference.
#include <math.h>

#include "call.h"

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

// Vectors by hand: as `out` may be `x`, the compiler would not dare.

void rotateHalves(const float* x, const float* cosines, const float* sines, float* out, int32_t half) {
  int32_t i = 0;
  for (; i + 16 <= half; i += 16) {
    const F a = loadF(x + i), b = loadF(x + i + half), c = loadF(cosines + i), s = loadF(sines + i);
    storeF(out + i, a * c - b * s);
    storeF(out + i + half, b * c + a * s);
  }
  for (; i < half; i++) {
    const float a = x[i], b = x[i + half];
    out[i] = a * cosines[i] - b * sines[i];
    out[i + half] = b * cosines[i] + a * sines[i];
  }
}

void rotatePairs(const float* x, const float* cosines, const float* sines, float* out, int32_t half) {
  VI swapped, doubled[2], sign;
  for (int l = 0; l < lanes; l++) {
    swapped[l] = l ^ 1;
    for (int h = 0; h < 2; h++) doubled[h][l] = (l + h * lanes) / 2;
    sign[l] = l % 2 == 0 ? static_cast<int32_t>(0x80000000) : 0;
  }
  int32_t i = 0;
  for (; i + lanes <= half; i += lanes) {
    const V c = load(cosines + i), s = load(sines + i);
    for (int h = 0; h < 2; h++) {
      const V pairs = load(x + 2 * i + h * lanes), turned = unbits(bits(__builtin_shuffle(s, doubled[h])) ^ sign);
      store(out + 2 * i + h * lanes, pairs * __builtin_shuffle(c, doubled[h]) + __builtin_shuffle(pairs, swapped) * turned);
    }
  }
  for (; i < half; i++) {
    const float a = x[2 * i], b = x[2 * i + 1];
    out[2 * i] = a * cosines[i] - b * sines[i];
    out[2 * i + 1] = b * cosines[i] + a * sines[i];
  }
}

void runRope(const Step& s, const void* record, int32_t task, uint8_t*) {
  const auto& o = as<op::Rope>(record);
  const int32_t half = o.table.width / 2;
  const Rows rows = taskRows(s, o.out, task);
  for (int32_t r = rows.begin; r < rows.end; r++) {
    const float* cosines = rowOf(s, o.table, r);
    for (int32_t h = 0; h < o.heads; h++) {
      const float* x = rowOf(s, o.x, r) + h * o.headDim;
      float* out = rowOf(s, o.out, r) + h * o.headDim;
      (o.style == Style::half ? rotateHalves : rotatePairs)(x, cosines, cosines + half, out, half);
      if (out != x) memcpy(out + 2 * half, x + 2 * half, static_cast<size_t>(o.headDim - 2 * half) * 4);
    }
  }
}

}  // namespace

extern const Kernel ropeTable = {tableTasks, runTable, noScratch};
extern const Kernel rope = {ropeTasks, runRope, noScratch};

}  // namespace loquent::LOQUENT_ISA
