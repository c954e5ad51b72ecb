#include "affinity.h"

#if defined(__linux__)
#include <sched.h>
#endif

namespace loquent {

#if defined(__linux__)
bool canPin(int32_t cpu) {
  cpu_set_t usable;
  CPU_ZERO(&usable);
  if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof usable, &usable) != 0) return false;
  return CPU_ISSET(static_cast<size_t>(cpu), &usable);
}

void pinThread(int32_t cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<size_t>(cpu), &one);
  // 0 is the calling thread. It was asked before whether this can be; a thread that floats after all is no fault.
  sched_setaffinity(0, sizeof one, &one);
}
#else
bool canPin(int32_t) { return false; }
void pinThread(int32_t) {}
#endif

}  // namespace loquent
