#include "patience.h"

#if defined(__linux__)
#include <sys/resource.h>
#endif

namespace loquent {

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

bool Patience::wasPutOff() {
#if defined(__linux__)
  static thread_local int64_t known = 0;
  rusage usage;
  if (getrusage(RUSAGE_THREAD, &usage) != 0) return true;
  const bool more = usage.ru_nivcsw > known;
  known = usage.ru_nivcsw;
  return more;
#else
  return true;
#endif
}

}  // namespace loquent
