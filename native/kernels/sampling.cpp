// choose and topTokens. Twin: backends/reference. One row, one piece.
#include "logits.h"

namespace loquent::LOQUENT_ISA {
namespace {

struct Draw {
  uint32_t word[4];
};

/** Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3"). */
Draw philox(uint32_t keyLow, uint32_t keyHigh, uint32_t counter) {
  uint32_t c[4] = {counter, 0, 0, 0};
  for (int round = 0; round < 10; round++) {
    const uint64_t a = static_cast<uint64_t>(c[0]) * 0xd2511f53u, b = static_cast<uint64_t>(c[2]) * 0xcd9e8d57u;
    const uint32_t next[4] = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ keyLow, static_cast<uint32_t>(b),
                              static_cast<uint32_t>(a >> 32) ^ c[3] ^ keyHigh, static_cast<uint32_t>(a)};
    memcpy(c, next, sizeof c);
    keyLow += 0x9e3779b9u;
    keyHigh += 0xbb67ae85u;
  }
  return {{c[0], c[1], c[2], c[3]}};
}

/** Uniform in [0, 1) with 53 bits. */
double uniform(const Draw& d) {
  const uint64_t bits = static_cast<uint64_t>(d.word[0]) << 21 | d.word[1] >> 11;
  return static_cast<double>(bits) * 0x1p-53;
}

/** Only the first stretch that has the greatest is looked through. */
int32_t firstGreatest(const float* x, int32_t width, float maximum, const Stretch* stretches) {
  int32_t at = 0;
  while (stretches[at].maximum != maximum) at++;
  for (int32_t i = at * stretch; i < width; i += 16) {
    if (!anyAtLeast(loadLogits(x + i, width - i), maximum)) continue;
    for (int32_t j = i; j < least(i + 16, width); j++) {
      if (x[j] == maximum) return j;
    }
  }
  return 0;
}

/** The first token at which the mass up to it passes the goal; sums of whole stretches first. */
int32_t firstBeyond(const float* x, int32_t width, float maximum, const Stretch* stretches, double goal) {
  double before = 0;
  int32_t at = 0;
  while ((at + 1) * stretch < width && before + massIn(stretches[at], maximum) <= goal) before += massIn(stretches[at++], maximum);
  // The stretch was summed in another order than here: where the goal is not passed, its last token is as near as any. A stretch
  // of nothing, such as one after the end of all mass, has none, and the last of those before is taken.
  for (const int32_t chosen = at; at >= 0; at--) {
    double sum = at == chosen ? before : -INFINITY;
    int32_t last = -1;
    for (int32_t i = at * stretch; i < least((at + 1) * stretch, width); i += 16) {
      float mass[16];
      storeF(mass, massOf(loadLogits(x + i, width - i) - splatF(maximum)));
      for (int32_t j = 0; j < least(16, width - i); j++) {
        sum += static_cast<double>(mass[j]);
        if (sum > goal) return i + j;
        if (mass[j] > 0) last = i + j;
      }
    }
    if (last >= 0) return last;
  }
  return 0;
}

int32_t chooseTasks(const Step& s, const void* record) { return rowsOf(s, as<op::Choose>(record).logits); }

void runChoose(const Step& s, const void* record, int32_t row, uint8_t* scratch) {
  const auto& o = as<op::Choose>(record);
  const float* x = rowOf(s, o.logits, row);
  const int32_t width = o.logits.width, target = ints(s, Field::sampleTargets)[row];
  auto* stretches = reinterpret_cast<Stretch*>(scratch);
  const Distribution d = distributionOf(x, width, stretches);
  const bool good = d.finite && target < width;
  ints(s, Field::sampleStatus)[row] = good ? 0 : 1;
  if (!good) {
    ints(s, Field::chosen)[row] = target >= 0 ? target : 0;
    floats(s, Field::chosenLogprobs)[row] = NAN;
    return;
  }
  int32_t id = target;
  if (target < 0 && ints(s, Field::sampling)[row]) {
    const uint32_t low = fieldOf<uint32_t>(s, Field::sampleSeedLow)[row], high = fieldOf<uint32_t>(s, Field::sampleSeedHigh)[row];
    const Draw draw = philox(low, high, static_cast<uint32_t>(ints(s, Field::sampleLengths)[row]));
    id = firstBeyond(x, width, d.maximum, stretches, uniform(draw) * d.total);
  } else if (target < 0) {
    id = firstGreatest(x, width, d.maximum, stretches);
  }
  ints(s, Field::chosen)[row] = id;
  const double relative = static_cast<double>(x[id]) - static_cast<double>(d.maximum);
  floats(s, Field::chosenLogprobs)[row] = static_cast<float>(relative - log(d.total));
}

struct Candidate {
  float logit;
  int32_t id;
};

/** Keeps `list` sorted: greatest first, ties by ascending id (candidates come in that order). */
int32_t insert(Candidate* list, int32_t count, int32_t limit, Candidate c) {
  int32_t at = count;
  while (at > 0 && list[at - 1].logit < c.logit) at--;
  if (at >= limit) return count;
  const int32_t kept = least(count, limit - 1);
  for (int32_t i = kept; i > at; i--) list[i] = list[i - 1];
  list[at] = c;
  return kept + 1;
}

int32_t topTasks(const Step& s, const void* record) { return rowsOf(s, as<op::TopTokens>(record).logits); }

void runTop(const Step& s, const void* record, int32_t row, uint8_t* scratch) {
  const auto& o = as<op::TopTokens>(record);
  const float* x = rowOf(s, o.logits, row);
  const int32_t width = o.logits.width, limit = s.limits->topTokens;
  const int32_t wanted = least(ints(s, Field::topTokens)[row], least(width, limit));
  int32_t& written = ints(s, Field::topCounts)[row];
  written = 0;
  if (wanted <= 0) return;
  auto* stretches = reinterpret_cast<Stretch*>(scratch);
  const Distribution d = distributionOf(x, width, stretches);
  if (!d.finite) return;
  auto* counts = reinterpret_cast<uint32_t*>(stretches + stretchesOf(static_cast<size_t>(width)));
  Candidate* list = reinterpret_cast<Candidate*>(counts + radixSize);
  const float threshold = nthLogit(x, width, wanted, reinterpret_cast<float*>(list + limit + 1), counts);
  const double logTotal = log(d.total);
  int32_t count = 0;
  for (int32_t i = 0; i < width; i += 16) {
    if (!anyAtLeast(loadLogits(x + i, width - i), threshold)) continue;
    for (int32_t j = i; j < least(i + 16, width); j++) {
      if (x[j] >= threshold && x[j] > -INFINITY) count = insert(list, count, limit, {x[j], j});
    }
  }
  for (int32_t i = 0; i < count; i++) {
    ints(s, Field::topIds)[static_cast<int64_t>(row) * limit + i] = list[i].id;
    const double relative = static_cast<double>(list[i].logit) - static_cast<double>(d.maximum);
    floats(s, Field::topLogprobs)[static_cast<int64_t>(row) * limit + i] = static_cast<float>(relative - logTotal);
  }
  written = count;
}

size_t chooseScratch(const Limits&, const void* record) {
  return stretchesOf(static_cast<size_t>(as<op::Choose>(record).logits.width)) * sizeof(Stretch);
}

size_t topScratch(const Limits& l, const void* record) {
  const size_t width = static_cast<size_t>(as<op::TopTokens>(record).logits.width);
  return stretchesOf(width) * sizeof(Stretch) + radixSize * 4 + (static_cast<size_t>(l.topTokens) + 1) * sizeof(Candidate) + (width + groupMaxima(width)) * 4;
}

}  // namespace

extern const Kernel choose = {chooseTasks, runChoose, chooseScratch};
extern const Kernel topTokens = {topTasks, runTop, topScratch};

}  // namespace loquent::LOQUENT_ISA
