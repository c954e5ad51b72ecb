#include "bell.h"

#if defined(__linux__)
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace loquent {

#if defined(__linux__)
// Not atomic::wait, which yields the processor a few times first: a busy neighbour takes it for milliseconds.

void Bell::sleep(uint32_t rings) { syscall(SYS_futex, &rings_, FUTEX_WAIT_PRIVATE, rings, nullptr, nullptr, 0); }

void Bell::ring() {
  rings_.fetch_add(1, std::memory_order_seq_cst);
  syscall(SYS_futex, &rings_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}
#else
void Bell::sleep(uint32_t rings) { rings_.wait(rings, std::memory_order_seq_cst); }

void Bell::ring() {
  rings_.fetch_add(1, std::memory_order_seq_cst);
  rings_.notify_all();
}
#endif

}  // namespace loquent
