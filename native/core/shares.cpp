#include "shares.h"

namespace loquent {

namespace {

constexpr int pieceBits = 18;
constexpr uint64_t pieceMask = (uint64_t{1} << pieceBits) - 1;

/** Whether batch a came before b; they are counted around. */
bool before(uint32_t a, uint32_t b) { return a != b && ((b - a) & batchMask) <= batchMask / 2; }

}  // namespace

uint64_t Shares::pack(const Share& s) {
  const uint64_t begin = static_cast<uint64_t>(s.begin), end = static_cast<uint64_t>(s.end);
  return static_cast<uint64_t>(s.batch) << (2 * pieceBits + 1) | begin << (pieceBits + 1) | end << 1 | (s.started ? 1 : 0);
}

Share Shares::unpack(uint64_t w) {
  const auto piece = [w](int shift) { return static_cast<int32_t>(w >> shift & pieceMask); };
  return {static_cast<uint32_t>(w >> (2 * pieceBits + 1)), piece(pieceBits + 1), piece(1), (w & 1) != 0};
}

Share Shares::whole(int32_t thread, uint32_t batch, int32_t pieces) const {
  const int64_t threads = static_cast<int64_t>(words_.size()), i = thread;
  return {batch, static_cast<int32_t>(pieces * i / threads), static_cast<int32_t>(pieces * (i + 1) / threads), false};
}

Share Shares::take(int32_t thread, uint32_t batch, int32_t pieces) {
  uint64_t expected = word(thread).load(std::memory_order_seq_cst);
  const Share mine = whole(thread, batch, pieces);
  while (before(unpack(expected).batch, batch)) {
    if (word(thread).compare_exchange_strong(expected, pack(mine), std::memory_order_seq_cst)) return mine;
  }
  return unpack(expected);
}

bool Shares::start(int32_t thread, Share& share) {
  if (share.started) return true;
  uint64_t expected = pack(share);
  Share mine = share;
  mine.started = true;
  if (word(thread).compare_exchange_strong(expected, pack(mine), std::memory_order_seq_cst)) {
    share = mine;
    return true;
  }
  share = unpack(expected);
  return false;
}

bool Shares::strike(int32_t thread, Share& share) {
  uint64_t expected = pack(share);
  for (;;) {
    Share next = share;
    next.begin++;
    if (word(thread).compare_exchange_strong(expected, pack(next), std::memory_order_seq_cst)) {
      share = next;
      return true;
    }
    // Somebody took later pieces: the first is still there. Anything else: it is not.
    const Share now = unpack(expected);
    if (now.batch != share.batch || now.begin != share.begin || now.empty()) {
      share = now;
      return false;
    }
    share = now;
  }
}

bool Shares::steal(int32_t thread, uint32_t batch, int32_t pieces, bool started) {
  const int32_t threads = static_cast<int32_t>(words_.size());
  for (int32_t step = 1; step < threads; step++) {
    const int32_t victim = (thread + step) % threads;
    uint64_t expected = word(victim).load(std::memory_order_seq_cst);
    for (;;) {
      Share theirs = unpack(expected);
      // Who has not come yet has everything left, unless the batch is over, when that is nothing.
      if (before(theirs.batch, batch)) theirs = whole(victim, batch, pieces);
      // A piece that is at work stays where it is.
      const int32_t kept = theirs.started ? 1 : 0, free = theirs.end - theirs.begin - kept;
      if (theirs.batch != batch || free <= 0) break;
      Share left = theirs;
      left.end = theirs.begin + kept + free / 2;
      if (!word(victim).compare_exchange_strong(expected, pack(left), std::memory_order_seq_cst)) continue;
      word(thread).store(pack({batch, left.end, theirs.end, started}), std::memory_order_seq_cst);
      return true;
    }
  }
  return false;
}

int32_t Shares::lastAtWork(int32_t thread, uint32_t batch) const {
  const int32_t threads = static_cast<int32_t>(words_.size());
  for (int32_t step = 1; step < threads; step++) {
    const int32_t other = (thread + step) % threads;
    const Share theirs = of(other);
    if (theirs.batch == batch && !theirs.empty()) return other;
  }
  return -1;
}

}  // namespace loquent
