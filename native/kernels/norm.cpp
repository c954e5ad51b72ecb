// rmsNorm, alone and after a residual addition. Twin: backends/reference.
// The sum of squares has 16 lanes and one fixed order, whatever the registers.
#include <math.h>

#include "call.h"

namespace loquent::LOQUENT_ISA {
namespace {

float scaleOf(const float* x, int32_t width, float epsilon) {
  F sum = splatF(0.0f);
  int32_t i = 0;
  for (; i + 16 <= width; i += 16) {
    const F v = loadF(x + i);
    sum = fma(v, v, sum);
  }
  if (i < width) {
    const F v = loadSome(x + i, width - i);
    sum = fma(v, v, sum);
  }
  return 1.0f / sqrtf(sumOf(sum) / static_cast<float>(width) + epsilon);
}

void normalize(const float* x, const float* weight, float* out, int32_t width, float epsilon, float offset) {
  const F scale = splatF(scaleOf(x, width, epsilon)), shift = splatF(offset);
  int32_t i = 0;
  for (; i + 16 <= width; i += 16) storeF(out + i, loadF(x + i) * scale * (loadF(weight + i) + shift));
  if (i < width) {
    const int some = width - i;
    storeSome(out + i, loadSome(x + i, some) * scale * (loadSome(weight + i, some) + shift), some);
  }
}

int32_t normTasks(const Step& s, const void* record) { return rowTasks(s, as<op::RmsNorm>(record).out); }

void runNorm(const Step& s, const void* record, int32_t task, uint8_t*) {
  const auto& o = as<op::RmsNorm>(record);
  const Rows rows = taskRows(s, o.out, task);
  for (int32_t r = rows.begin; r < rows.end; r++) {
    normalize(rowOf(s, o.x, r), rowOf(s, o.weight, 0), rowOf(s, o.out, r), o.out.width, o.epsilon, o.offset);
  }
}

int32_t addTasks(const Step& s, const void* record) { return rowTasks(s, as<op::AddRmsNorm>(record).out); }

void runAdd(const Step& s, const void* record, int32_t task, uint8_t*) {
  const auto& o = as<op::AddRmsNorm>(record);
  const Rows rows = taskRows(s, o.out, task);
  for (int32_t r = rows.begin; r < rows.end; r++) {
    const float* x = rowOf(s, o.x, r);
    const float* y = rowOf(s, o.y, r);
    float* sum = rowOf(s, o.sum, r);
    for (int32_t i = 0; i < o.out.width; i++) sum[i] = x[i] + y[i];
    normalize(sum, rowOf(s, o.weight, 0), rowOf(s, o.out, r), o.out.width, o.epsilon, o.offset);
  }
}

}  // namespace

extern const Kernel rmsNorm = {normTasks, runNorm, noScratch};
extern const Kernel addRmsNorm = {addTasks, runAdd, noScratch};

}  // namespace loquent::LOQUENT_ISA
