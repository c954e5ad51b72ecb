// add and gatedActivation. Twin: backends/reference.
#include "call.h"

namespace loquent::LOQUENT_ISA {
namespace {

int32_t addTasks(const Step& s, const void* record) { return rowTasks(s, as<op::Add>(record).out); }

void runAdd(const Step& s, const void* record, int32_t task, uint8_t*) {
  const auto& o = as<op::Add>(record);
  const Rows rows = taskRows(s, o.out, task);
  for (int32_t r = rows.begin; r < rows.end; r++) {
    const float* x = rowOf(s, o.x, r);
    const float* y = rowOf(s, o.y, r);
    float* out = rowOf(s, o.out, r);
    for (int32_t i = 0; i < o.out.width; i++) out[i] = x[i] + y[i];
  }
}

int32_t gateTasks(const Step& s, const void* record) { return rowTasks(s, as<op::GatedActivation>(record).out); }

template <Activation A>
void gateRow(const float* gate, const float* up, float* out, int32_t width) {
  int32_t i = 0;
  for (; i + 16 <= width; i += 16) storeF(out + i, activate<A>(loadF(gate + i)) * loadF(up + i));
  if (i < width) storeSome(out + i, activate<A>(loadSome(gate + i, width - i)) * loadSome(up + i, width - i), width - i);
}

void runGate(const Step& s, const void* record, int32_t task, uint8_t*) {
  constexpr void (*byActivation[])(const float*, const float*, float*, int32_t) = {
      gateRow<Activation::none>,      gateRow<Activation::relu>,       gateRow<Activation::gelu>,
      gateRow<Activation::gelu_tanh>, gateRow<Activation::quick_gelu>, gateRow<Activation::silu>,
  };
  const auto& o = as<op::GatedActivation>(record);
  const auto row = byActivation[static_cast<int>(o.activation)];
  const Rows rows = taskRows(s, o.out, task);
  for (int32_t r = rows.begin; r < rows.end; r++) row(rowOf(s, o.gate, r), rowOf(s, o.up, r), rowOf(s, o.out, r), o.out.width);
}

}  // namespace

extern const Kernel add = {addTasks, runAdd, noScratch};
extern const Kernel gatedActivation = {gateTasks, runGate, noScratch};

}  // namespace loquent::LOQUENT_ISA
