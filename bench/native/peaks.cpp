// What this machine can do at most: read bandwidth and multiply-add rates, for 1 to N threads. A round is a fixed amount
// of work in chunks that threads take as they come, so that a thread that is not running holds nobody back; the best
// round is the limit of the machine, the median is what its neighbours left of it. Prints one JSON line.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>
#include <vector>
#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

using Clock = std::chrono::steady_clock;

// Far more than a last-level cache holds.
constexpr size_t read_bytes = size_t(512) << 20;
constexpr size_t read_chunk = size_t(1) << 20;
constexpr size_t huge_page = size_t(2) << 20;
constexpr int rounds = 30;
constexpr int accumulators = 12;
constexpr long chunk_products = 10000;
constexpr int product_chunks = 128;

typedef float Floats __attribute__((vector_size(64)));
typedef uint64_t Words __attribute__((vector_size(64)));

std::atomic<uint64_t> kept;

void keep(uint64_t value) { kept.fetch_xor(value, std::memory_order_relaxed); }

double seconds(Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); }

struct Rate {
  double best;
  double median;
};

// Runs chunks [0, chunks) on all threads, `rounds` times; `amount` is what a chunk does.
Rate measure(int threads, int chunks, double amount, const std::function<void(int)> &chunk) {
  std::vector<double> rates;
  // The first round warms up.
  for (int r = 0; r < rounds + 1; r++) {
    std::atomic<int> ready{0}, next{0};
    std::atomic<double> begin{0};
    const auto zero = Clock::now();
    const auto work = [&] {
      ready.fetch_add(1);
      while (ready.load() < threads) std::this_thread::yield();
      double unset = 0;
      begin.compare_exchange_strong(unset, seconds(zero));
      for (int c = next.fetch_add(1); c < chunks; c = next.fetch_add(1)) chunk(c);
    };
    std::vector<std::thread> others;
    for (int t = 1; t < threads; t++) others.emplace_back(work);
    work();
    for (auto &o : others) o.join();
    if (r > 0) rates.push_back(chunks * amount / (seconds(zero) - begin.load()) / 1e9);
  }
  std::sort(rates.begin(), rates.end());
  return {rates.back(), rates[rates.size() / 2]};
}

Rate bandwidth(int threads) {
  char *memory = static_cast<char *>(std::aligned_alloc(huge_page, read_bytes));
  if (!memory) return {0, 0};
#if defined(__linux__)
  // As the engine's arenas: without it, page walks are measured.
  madvise(memory, read_bytes, MADV_HUGEPAGE);
#endif
  std::memset(memory, 1, read_bytes);
  const Rate rate = measure(threads, read_bytes / read_chunk, double(read_chunk), [&](int c) {
    const char *from = memory + c * read_chunk;
    Words sum[4] = {};
    for (size_t at = 0; at < read_chunk; at += 256) {
      for (int i = 0; i < 4; i++) {
        __builtin_prefetch(from + at + 4096 + 64 * i);
        sum[i] += *reinterpret_cast<const Words *>(from + at + 64 * i);
      }
    }
    const Words total = sum[0] + sum[1] + sum[2] + sum[3];
    keep(total[0] ^ total[7]);
  });
  std::free(memory);
  return rate;
}

// `step` is one instruction that adds to a vector of sums; enough independent sums hide its latency.
template <class Vector, class Step>
Rate rate_of(int threads, double per_instruction, Vector start, Step step) {
  return measure(threads, product_chunks, per_instruction * accumulators * chunk_products, [&](int) {
    // Every loop over the sums is unrolled: an array that is indexed by a variable lives in memory, and its loads and stores
    // would be measured.
    Vector sums[accumulators];
#pragma GCC unroll 16
    for (int i = 0; i < accumulators; i++) sums[i] = start;
    for (long p = 0; p < chunk_products; p++) {
#pragma GCC unroll 16
      for (int i = 0; i < accumulators; i++) {
        sums[i] = step(sums[i]);
        // Keeps the compiler from folding the loop.
        asm volatile("" : "+v"(sums[i]));
      }
    }
    uint64_t bits = 0;
#pragma GCC unroll 16
    for (int i = 0; i < accumulators; i++) {
      const Vector sum = sums[i];
      uint64_t word;
      std::memcpy(&word, &sum, sizeof word);
      bits ^= word;
    }
    keep(bits);
  });
}

Rate float32(int threads) {
#if defined(__AVX512F__)
  const __m512 x = _mm512_set1_ps(1.0001f);
  return rate_of(threads, 32, x, [x](__m512 s) { return _mm512_fmadd_ps(s, x, x); });
#elif defined(__FMA__)
  const __m256 x = _mm256_set1_ps(1.0001f);
  return rate_of(threads, 16, x, [x](__m256 s) { return _mm256_fmadd_ps(s, x, x); });
#else
  return measure(threads, product_chunks, 2.0 * 16 * 8 * chunk_products, [](int) {
    Floats sums[8] = {}, x = sums[0] + 1.0001f;
    for (long p = 0; p < chunk_products; p++)
      for (auto &s : sums) s = s * x + x;
    for (auto &s : sums) keep(uint64_t(s[0]));
  });
#endif
}

Rate bf16(int threads) {
#if defined(__AVX512BF16__)
  const __m512bh x = (__m512bh)_mm512_set1_epi32(0x3f803f80);
  return rate_of(threads, 64, _mm512_set1_ps(1), [x](__m512 s) { return _mm512_dpbf16_ps(s, x, x); });
#else
  (void)threads;
  return {0, 0};
#endif
}

Rate int8(int threads) {
#if defined(__AVX512VNNI__)
  const __m512i x = _mm512_set1_epi32(0x01010101);
  return rate_of(threads, 128, x, [x](__m512i s) { return _mm512_dpbusd_epi32(s, x, x); });
#elif defined(__AVXVNNI__)
  const __m256i x = _mm256_set1_epi32(0x01010101);
  return rate_of(threads, 64, x, [x](__m256i s) { return _mm256_dpbusd_avx_epi32(s, x, x); });
#else
  (void)threads;
  return {0, 0};
#endif
}

void print(const char *name, Rate r, const char *end) {
  std::printf("\"%s\":{\"best\":%.2f,\"median\":%.2f}%s", name, r.best, r.median, end);
}

}  // namespace

int main(int count, char **arguments) {
  const int most = count > 1 ? std::atoi(arguments[1]) : int(std::thread::hardware_concurrency());
  std::printf("[");
  for (int threads = 1; threads <= most; threads++) {
    std::printf("%s{\"threads\":%d,", threads > 1 ? "," : "", threads);
    print("read", bandwidth(threads), ",");
    print("float32", float32(threads), ",");
    print("bf16", bf16(threads), ",");
    print("int8", int8(threads), "}");
    std::fflush(stdout);
  }
  std::printf("]\n");
}
