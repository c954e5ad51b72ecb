// How the pieces of a batch are shared out among threads, without locks and without one counter that all of them fight for.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <atomic>
#include <vector>

namespace loquent {

/** Pieces `[begin, end)` of a batch. `started`: their owner is at work on the first. */
struct Share {
  uint32_t batch;
  int32_t begin, end;
  bool started;
  bool empty() const { return begin >= end; }
};

/**
 * Every thread has a share of neighbouring pieces, of which it takes the first; one that has none left takes the later half of
 * another's. A share is one word, so that every step is one exchange of it, and a thread that comes late (even into a later batch)
 * fails to exchange and knows.
 */
class Shares {
 public:
  /** More pieces than this have to be put together. */
  static constexpr int32_t mostPieces = (1 << 18) - 1;

  explicit Shares(int32_t threads) : words_(static_cast<size_t>(threads)) {}

  /** The share of a thread, of any batch. */
  Share of(int32_t thread) const { return unpack(word(thread).load(std::memory_order_seq_cst)); }
  /**
   * The thread's share of `batch`, which has so many pieces: what others have left of it, or all of it where nobody has come yet. Nobody
   * deals: threads whose caches are far apart would wait for one another's words. Empty, and of a later batch, where this one is over.
   */
  Share take(int32_t thread, uint32_t batch, int32_t pieces);
  /** Marks the thread's share as being worked on; false when another has changed it. */
  bool start(int32_t thread, Share& share);
  /** Strikes the first piece of a share: whoever succeeds, and nobody else, may let its result count. `share` is what is left. */
  bool strike(int32_t thread, Share& share);
  /**
   * Makes the later half of somebody's share, of a thread too that has not come yet, the share of `thread`, which has none, marked
   * as `started` says; false when nobody has a piece that is not at work.
   */
  bool steal(int32_t thread, uint32_t batch, int32_t pieces, bool started);
  /** A thread whose last piece is at work, or -1. */
  int32_t lastAtWork(int32_t thread, uint32_t batch) const;

 private:
  struct alignas(64) Word {
    std::atomic<uint64_t> value{0};
  };
  Share whole(int32_t thread, uint32_t batch, int32_t pieces) const;
  static uint64_t pack(const Share& s);
  static Share unpack(uint64_t word);
  std::atomic<uint64_t>& word(int32_t thread) { return words_[static_cast<size_t>(thread)].value; }
  const std::atomic<uint64_t>& word(int32_t thread) const { return words_[static_cast<size_t>(thread)].value; }

  std::vector<Word> words_;
};

/** Batches are counted in as many bits as a share has for them. */
constexpr uint32_t batchMask = (1u << 27) - 1;

}  // namespace loquent
