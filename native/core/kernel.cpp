#include "kernel.h"

namespace loquent {

const KernelSet* chooseKernels(const std::string& name) {
  const KernelSet* best = nullptr;
  for (const KernelChoice* c = kernelChoices; c->set; c++) {
    if (!c->supported()) continue;
    if (name.empty() || name == c->set->name) best = c->set;
  }
  return best;
}

}  // namespace loquent
