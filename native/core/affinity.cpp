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

std::vector<int32_t> oneEach(int32_t threads) {
  cpu_set_t usable;
  CPU_ZERO(&usable);
  std::vector<int32_t> cpus;
  if (sched_getaffinity(0, sizeof usable, &usable) != 0 || CPU_COUNT(&usable) != threads) return cpus;
  for (int32_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (CPU_ISSET(static_cast<size_t>(cpu), &usable)) cpus.push_back(cpu);
  }
  return cpus;
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
std::vector<int32_t> oneEach(int32_t) { return {}; }
void pinThread(int32_t) {}
#endif

}  // namespace loquent
