// Which processor a thread runs on.
#pragma once
#include <stdint.h>

#include <vector>

namespace loquent {

/** Whether this process may use the processor of that number, and this system lets a thread choose. */
bool canPin(int32_t cpu);
/** The processors this process may use, if they are as many as `threads`; otherwise, and where nobody can say, none. */
std::vector<int32_t> oneEach(int32_t threads);
/** Keeps the calling thread on one processor. */
void pinThread(int32_t cpu);

}  // namespace loquent
