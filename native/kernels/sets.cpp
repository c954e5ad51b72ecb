// The instruction sets that this build holds; compiled once, for the oldest processor.
#include "../core/kernel.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace loquent {

namespace generic {
extern const KernelSet set;
}
#if defined(__x86_64__)
namespace avx2 {
extern const KernelSet set;
}
namespace avx2_vnni {
extern const KernelSet set;
}
namespace avx512_vnni {
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
/** The dot products of bytes in vectors of 256 bits, which processors without AVX-512 have; not every compiler knows its name. */
bool hasAvx2Vnni() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return hasAvx2() && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax & 1u << 4);
}
bool hasAvx512Vnni() {
  return hasAvx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
}
bool hasAvx512() { return hasAvx512Vnni() && __builtin_cpu_supports("avx512bf16"); }
#endif

}  // namespace

const KernelChoice kernelChoices[] = {
    {&generic::set, always},
#if defined(__x86_64__)
    {&avx2::set, hasAvx2},
    {&avx2_vnni::set, hasAvx2Vnni},
    {&avx512_vnni::set, hasAvx512Vnni},
    {&avx512::set, hasAvx512},
#endif
    {nullptr, nullptr},
};

}  // namespace loquent
