// The instruction sets that this build holds; compiled once, for the oldest processor.
#include "../core/kernel.h"

namespace loquent {

namespace generic {
extern const KernelSet set;
}
#if defined(__x86_64__)
namespace avx2 {
extern const KernelSet set;
}
namespace avx512 {
extern const KernelSet set;
}
#endif

namespace {

// Asked here and not beside the kernels: those objects may hold instructions that this processor has not.
bool always() { return true; }
#if defined(__x86_64__)
bool hasAvx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool hasAvx512() {
  return hasAvx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
}
#endif

}  // namespace

const KernelChoice kernelChoices[] = {
    {&generic::set, always},
#if defined(__x86_64__)
    {&avx2::set, hasAvx2},
    {&avx512::set, hasAvx512},
#endif
    {nullptr, nullptr},
};

}  // namespace loquent
