// rmsNorm, alone and after a residual addition. Twin: backends/reference.
// The sum of squares has 16 lanes and one fixed order, whatever the registers.
#include <math.h>

#include "call.h"

namespace loquent::LOQUENT_ISA {
namespace {

/** The sum of squares of a row, in four sums that do not wait for one another; `at` gives 16 columns, or the last of them. */
template <typename At>
LOQUENT_INLINE float squaresOf(int32_t width, At at) {
  constexpr int32_t sums = 4;
  F sum[sums] = {splatF(0.0f), splatF(0.0f), splatF(0.0f), splatF(0.0f)};
  const auto add = [&](int j, F v) { sum[j] = fma(v, v, sum[j]); };
  int32_t i = 0;
  for (; i + 16 * sums <= width; i += 16 * sums) {
    for (int j = 0; j < sums; j++) add(j, at(i + 16 * j, 16));
  }
  for (int j = 0; i < width; i += 16, j++) add(j, at(i, least(16, width - i)));
  return sumOf((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

LOQUENT_INLINE float squares(const float* x, int32_t width) {
  return squaresOf(width, [&](int32_t i, int32_t count) { return loadUpTo(x + i, count); });
}

/** Also stores x + y. */
LOQUENT_INLINE float squaresOfSum(const float* x, const float* y, float* sum, int32_t width) {
  return squaresOf(width, [&](int32_t i, int32_t count) {
    const F v = loadUpTo(x + i, count) + loadUpTo(y + i, count);
    storeUpTo(sum + i, v, count);
    return v;
  });
}

struct Norm {
  const float* weight;
  int32_t width;
  float epsilon, offset;
  /** Of the result: float32, or what it is rounded to. */
  Format format;
  /** A row before it is rounded, which is still in the nearest cache then. */
  float* room;

  void operator()(const float* x, float squares, float* out) const {
    const F scale = splatF(1.0f / sqrtf(squares / static_cast<float>(width) + epsilon)), shift = splatF(offset);
    float* to = format == Format::f32 ? out : room;
    int32_t i = 0;
    for (; i + 16 <= width; i += 16) storeF(to + i, loadF(x + i) * scale * (loadF(weight + i) + shift));
    if (i < width) {
      const int some = width - i;
      storeSome(to + i, loadSome(x + i, some) * scale * (loadSome(weight + i, some) + shift), some);
    }
    if (format != Format::f32) encodeRow(format, room, width, reinterpret_cast<uint8_t*>(out));
  }
};

template <typename R>
Norm normOf(const Step& s, const R& o, uint8_t* scratch) {
  return {rowOf(s, o.weight, 0), o.out.width, o.epsilon, o.offset, formatOf(o.out), reinterpret_cast<float*>(scratch)};
}

int32_t normTasks(const Step& s, const void* record) { return rowTasks(s, as<op::RmsNorm>(record).out); }

void runNorm(const Step& s, const void* record, int32_t task, uint8_t* scratch) {
  const auto& o = as<op::RmsNorm>(record);
  const Rows rows = taskRows(s, o.out, task);
  const Norm normalize = normOf(s, o, scratch);
  for (int32_t r = rows.begin; r < rows.end; r++) {
    const float* x = rowOf(s, o.x, r);
    normalize(x, squares(x, o.out.width), rowOf(s, o.out, r));
  }
}

int32_t addTasks(const Step& s, const void* record) { return rowTasks(s, as<op::AddRmsNorm>(record).out); }

void runAdd(const Step& s, const void* record, int32_t task, uint8_t* scratch) {
  const auto& o = as<op::AddRmsNorm>(record);
  const Rows rows = taskRows(s, o.out, task);
  const Norm normalize = normOf(s, o, scratch);
  for (int32_t r = rows.begin; r < rows.end; r++) {
    float* sum = rowOf(s, o.sum, r);
    const float all = squaresOfSum(rowOf(s, o.x, r), rowOf(s, o.y, r), sum, o.out.width);
    normalize(sum, all, rowOf(s, o.out, r));
  }
}

template <typename R>
size_t roomOf(const Limits&, const void* record) {
  return static_cast<size_t>(as<R>(record).out.width) * 4;
}

}  // namespace

extern const Kernel rmsNorm = {normTasks, runNorm, roomOf<op::RmsNorm>};
extern const Kernel addRmsNorm = {addTasks, runAdd, roomOf<op::AddRmsNorm>};

}  // namespace loquent::LOQUENT_ISA
