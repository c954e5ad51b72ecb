// Which processor a thread runs on.
#pragma once
#include <stdint.h>

namespace loquent {

/** Whether this process may use the processor of that number, and this system lets a thread choose. */
bool canPin(int32_t cpu);
/** Keeps the calling thread on one processor. */
void pinThread(int32_t cpu);

}  // namespace loquent
