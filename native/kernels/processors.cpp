// penalize, maskTokens and warp: what happens to a row of logits before a token is chosen. Twin: backends/reference.
#include <float.h>

#include "logits.h"

namespace loquent::LOQUENT_ISA {
namespace {

LOQUENT_INLINE bool within(int32_t id, int32_t width) { return static_cast<uint32_t>(id) < static_cast<uint32_t>(width); }

/** Penalizes each distinct id of the history once. Counts are cleared only where they are used. */
void penalizeRow(float* x, int32_t width, const int32_t* ids, int32_t length, float repetition, float frequency, int32_t* counts) {
  for (int32_t i = 0; i < length; i++) {
    if (within(ids[i], width)) counts[ids[i]] = 0;
  }
  for (int32_t i = 0; i < length; i++) {
    if (within(ids[i], width)) counts[ids[i]]++;
  }
  for (int32_t i = 0; i < length; i++) {
    const int32_t id = ids[i];
    if (!within(id, width) || counts[id] == 0) continue;
    float v = x[id];
    if (repetition != 1.0f) v = v < 0 ? v * repetition : v / repetition;
    if (frequency != 0.0f) v = v - frequency * (static_cast<float>(counts[id]) / static_cast<float>(length));
    x[id] = v;
    counts[id] = 0;
  }
}

/** MT19937, as far as torch's `randperm` on a CPU needs it. Twin: src/ops/green-list.ts. */
struct Twister {
  static constexpr int size = 624, middle = 397;
  uint32_t state[size];
  int index = size;

  explicit Twister(uint32_t seed) {
    state[0] = seed;
    for (int i = 1; i < size; i++) state[i] = 1812433253u * (state[i - 1] ^ state[i - 1] >> 30) + static_cast<uint32_t>(i);
  }
  uint32_t next() {
    if (index >= size) refill();
    uint32_t y = state[index++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
  }
  void refill() {
    for (int i = 0; i < size; i++) {
      const uint32_t y = (state[i] & 0x80000000u) | (state[(i + 1) % size] & 0x7fffffffu);
      state[i] = state[(i + middle) % size] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    index = 0;
  }
};

/** Adds delta to the green list of the previous id; only as much of the permutation is drawn as it needs. */
void watermarkRow(float* x, int32_t width, int32_t previous, float gamma, float delta, int32_t* ids) {
  Twister twister(15485863u * static_cast<uint32_t>(previous));
  for (int32_t i = 0; i < width; i++) ids[i] = i;
  // What is no share (the frame is not checked for it) favours nothing.
  const auto count = gamma > 0 && gamma <= 1 ? static_cast<int32_t>(static_cast<double>(gamma) * width) : 0;
  for (int32_t i = 0; i < count; i++) {
    if (i < width - 1) {
      const int32_t other = i + static_cast<int32_t>(twister.next() % static_cast<uint32_t>(width - i)), id = ids[i];
      ids[i] = ids[other];
      ids[other] = id;
    }
    x[ids[i]] = x[ids[i]] + delta;
  }
}

int32_t penalizeTasks(const Step& s, const void* record) { return rowsOf(s, as<op::Penalize>(record).logits); }

void runPenalize(const Step& s, const void* record, int32_t row, uint8_t* scratch) {
  const auto& o = as<op::Penalize>(record);
  float* out = rowOf(s, o.out, row);
  carryRow(out, rowOf(s, o.logits, row), o.out.width);
  if (ints(s, Field::sampleTargets)[row] >= 0) return;
  const float repetition = floats(s, Field::repetitionPenalty)[row], frequency = floats(s, Field::frequencyPenalty)[row];
  const float gamma = floats(s, Field::watermarkGamma)[row], delta = floats(s, Field::watermarkDelta)[row];
  const int64_t history = ints(s, Field::sampleHistory)[row];
  const int32_t* ids = ints(s, Field::history) + history * s.limits->context;
  const int32_t length = ints(s, Field::sampleLengths)[row];
  auto* room = reinterpret_cast<int32_t*>(scratch);
  if (delta != 0.0f && length > 0) watermarkRow(out, o.out.width, ids[length - 1], gamma, delta, room);
  if (repetition == 1.0f && frequency == 0.0f) return;
  penalizeRow(out, o.out.width, ids, length, repetition, frequency, room);
}

size_t penalizeScratch(const Limits&, const void* record) { return static_cast<size_t>(as<op::Penalize>(record).logits.width) * 4; }

int32_t maskTasks(const Step& s, const void* record) { return rowsOf(s, as<op::MaskTokens>(record).logits); }

void runMask(const Step& s, const void* record, int32_t row, uint8_t*) {
  const auto& o = as<op::MaskTokens>(record);
  float* out = rowOf(s, o.out, row);
  carryRow(out, rowOf(s, o.logits, row), o.out.width);
  const int32_t mask = ints(s, Field::sampleMasks)[row];
  if (mask < 0 || ints(s, Field::sampleTargets)[row] >= 0) return;
  const int32_t words = ceilDiv(s.limits->vocabulary, 32);
  const uint32_t* allowed = fieldOf<uint32_t>(s, Field::masks) + static_cast<int64_t>(mask) * words;
  for (int32_t i = 0; i < o.out.width; i++) {
    const bool keep = i < s.limits->vocabulary && (allowed[i / 32] >> (i % 32) & 1);
    if (!keep) out[i] = -INFINITY;
  }
}

/** Room for a sort of a row: keys with their ids, twice, and the counts of a digit. */
struct Sorting {
  uint64_t* items;
  uint64_t* other;
  uint32_t* counts;
  double* mass;
};

/** Ascending by key; equal keys keep their order, which is that of ids. */
uint64_t* sortByKey(const Sorting& room, int32_t count) {
  uint64_t *from = room.items, *to = room.other;
  for (int pass = 0; pass < 3; pass++) {
    const int shift = 32 + pass * radixBits;
    memset(room.counts, 0, radixSize * 4);
    for (int32_t i = 0; i < count; i++) room.counts[from[i] >> shift & (radixSize - 1)]++;
    uint32_t before = 0;
    for (int d = 0; d < radixSize; d++) {
      const uint32_t here = room.counts[d];
      room.counts[d] = before;
      before += here;
    }
    for (int32_t i = 0; i < count; i++) to[room.counts[from[i] >> shift & (radixSize - 1)]++] = from[i];
    uint64_t* swap = from;
    from = to;
    to = swap;
  }
  return from;
}

int32_t idOf(uint64_t item) { return static_cast<int32_t>(item & 0xffffffff); }

void removeBelow(float* x, int32_t width, float threshold) {
  for (int32_t i = 0; i < width; i++) x[i] = x[i] < threshold ? -INFINITY : x[i];
}

void keepTopK(float* x, int32_t width, int32_t k, const Sorting& room) {
  removeBelow(x, width, nthLogit(x, width, least(k, width), reinterpret_cast<float*>(room.items), room.counts));
}

/** Distances below the greatest logit under which the mass of a row is added up. */
constexpr float levels[] = {1, 2, 4, 8, 16};
constexpr int levelCount = 5;

struct Masses {
  double total;
  /** Of tokens further below the greatest than each level. */
  double below[levelCount];
};

Masses massesOf(const float* x, int32_t width, float maximum) {
  Masses m = {};
  for (int32_t s = 0; s < width; s += stretch) {
    const int32_t count = least(stretch, width - s);
    F total = splatF(0.0f), below[levelCount];
    for (F& b : below) b = splatF(0.0f);
    for (int32_t i = 0; i < count; i += 16) {
      const F d = loadLogits(x + s + i, count - i) - splatF(maximum), mass = massOf(d);
      total = total + mass;
      for (int l = 0; l < levelCount; l++) below[l] = below[l] + whereLess(d, splatF(-levels[l]), mass, splatF(0.0f));
    }
    m.total += static_cast<double>(sumOf(total));
    for (int l = 0; l < levelCount; l++) m.below[l] += static_cast<double>(sumOf(below[l]));
  }
  return m;
}

/** Tokens at least so near to the greatest, in order of id, with their masses. */
int32_t collect(const float* x, int32_t width, float maximum, float level, const Sorting& room) {
  int32_t count = 0;
  for (int32_t i = 0; i < width; i += 16) {
    const F d = loadLogits(x + i, width - i) - splatF(maximum);
    if (!anyAtLeast(d, -level)) continue;
    float distance[16], mass[16];
    storeF(distance, d);
    storeF(mass, massOf(d));
    for (int32_t j = 0; j < least(16, width - i); j++) {
      if (!(distance[j] >= -level)) continue;
      room.mass[i + j] = static_cast<double>(mass[j]);
      room.items[count++] = static_cast<uint64_t>(orderOf(x[i + j])) << 32 | static_cast<uint32_t>(i + j);
    }
  }
  return count;
}

/**
 * Removes the least likely while their mass, from below, is at most 1 - p; never the last. What is so far below the greatest that
 * all of it goes is not sorted.
 */
void keepTopP(float* x, int32_t width, float p, float maximum, const Sorting& room) {
  const Masses masses = massesOf(x, width, maximum);
  const double limit = (1.0 - static_cast<double>(p)) * masses.total;
  int l = 0;
  while (l < levelCount && !(masses.below[l] <= limit)) l++;
  const bool all = l == levelCount;
  const float level = all ? FLT_MAX : levels[l];
  const int32_t count = collect(x, width, maximum, level, room);
  for (int32_t i = 0; i < width; i++) x[i] = x[i] - maximum < -level ? -INFINITY : x[i];
  const uint64_t* sorted = sortByKey(room, count);
  double sum = all ? 0 : masses.below[l];
  for (int32_t i = 0; i + 1 < count; i++) {
    sum += room.mass[idOf(sorted[i])];
    if (!(sum <= limit)) return;
    x[idOf(sorted[i])] = -INFINITY;
  }
}

/** Distances from the entropy, in steps of 1 / 32; the last bucket takes all that are further. */
constexpr int32_t distanceBuckets = 1024;
LOQUENT_INLINE int32_t bucketOf(float distance) {
  const float last = distanceBuckets - 1, scaled = distance * 32;
  return static_cast<int32_t>(scaled < last ? scaled : last);
}

/** Locally typical sampling (Meister et al.): keeps those whose surprise is nearest to the entropy. */
void keepTypical(float* x, int32_t width, float typical, float maximum, const Sorting& room) {
  exponentials(x, width, maximum, room.mass);
  const double total = sumOf(room.mass, width), logTotal = log(total);
  // In lanes and without branches, so that these loops become vector code; what is removed has no mass.
  double surprise[8] = {};
  for (int32_t i = 0; i < width; i++) {
    const double d = static_cast<double>(x[i]) - maximum;
    surprise[i % 8] -= room.mass[i] * (d > -1e4 ? d : -1e4);
  }
  double entropy = logTotal;
  for (const double lane : surprise) entropy += lane / total;
  const auto distanceOf = [&](float logit) { return static_cast<float>(fabs(-(static_cast<double>(logit) - maximum - logTotal) - entropy)); };
  float* distance = reinterpret_cast<float*>(room.other);
  for (int32_t i = 0; i < width; i++) distance[i] = distanceOf(x[i]);
  const double goal = static_cast<double>(typical) * total;
  // Mass by distance: only the tokens of the bucket in which the goal is reached need an order.
  double near[distanceBuckets] = {};
  for (int32_t i = 0; i < width; i++) near[bucketOf(distance[i])] += room.mass[i];
  double sum = 0;
  int32_t bucket = 0, farthest = distanceBuckets - 1;
  while (farthest > 0 && near[farthest] == 0) farthest--;
  while (bucket < farthest && (near[bucket] == 0 || sum + near[bucket] < goal)) sum += near[bucket++];
  int32_t count = 0;
  for (int32_t i = 0; i < width; i++) {
    const bool here = x[i] > -INFINITY && bucketOf(distance[i]) == bucket;
    if (here) room.items[count++] = static_cast<uint64_t>(orderOf(distance[i])) << 32 | static_cast<uint32_t>(i);
  }
  // The sort takes the place of the distances; from here on they follow from the logits again.
  const uint64_t* sorted = sortByKey(room, count);
  int32_t last = 0;
  for (; last + 1 < count; last++) {
    sum += room.mass[idOf(sorted[last])];
    if (!(sum < goal)) break;
  }
  const float threshold = valueOf(static_cast<uint32_t>(sorted[last] >> 32));
  for (int32_t i = 0; i < width; i++) {
    x[i] = distanceOf(x[i]) > threshold ? -INFINITY : x[i];
  }
}

int32_t warpTasks(const Step& s, const void* record) { return rowsOf(s, as<op::Warp>(record).logits); }

Sorting roomOf(uint8_t* scratch, int32_t width) {
  uint64_t* items = reinterpret_cast<uint64_t*>(scratch);
  double* mass = reinterpret_cast<double*>(items + 2 * static_cast<int64_t>(width));
  // `nthLogit` takes the room of all three, and of the maxima that follow.
  float* maxima = reinterpret_cast<float*>(mass + width);
  return {items, items + width, reinterpret_cast<uint32_t*>(maxima + groupMaxima(static_cast<size_t>(width))), mass};
}

void runWarp(const Step& s, const void* record, int32_t row, uint8_t* scratch) {
  const auto& o = as<op::Warp>(record);
  float* out = rowOf(s, o.out, row);
  const int32_t width = o.out.width;
  carryRow(out, rowOf(s, o.logits, row), width);
  if (ints(s, Field::sampleTargets)[row] >= 0) return;
  const float temperature = floats(s, Field::temperature)[row], topP = floats(s, Field::topP)[row];
  const float typical = floats(s, Field::typicalP)[row];
  const int32_t topK = ints(s, Field::topK)[row];
  if (temperature != 1.0f) {
    for (int32_t i = 0; i < width; i++) out[i] = out[i] / temperature;
  }
  if (topK <= 0 && !(topP < 1.0f) && !(typical < 1.0f)) return;
  // A row that is not finite is left as it is: `choose` reports it.
  const Extent extent = extentOf(out, width);
  if (!extent.finite) return;
  const Sorting room = roomOf(scratch, width);
  if (topK > 0 && topK < width) keepTopK(out, width, topK, room);
  if (topP < 1.0f) keepTopP(out, width, topP, extent.maximum, room);
  // The greatest always stays, so the maximum is the same.
  if (typical < 1.0f) keepTypical(out, width, typical, extent.maximum, room);
}

size_t warpScratch(const Limits&, const void* record) {
  const size_t width = static_cast<size_t>(as<op::Warp>(record).logits.width);
  return width * 24 + groupMaxima(width) * 4 + radixSize * 4;
}

}  // namespace

extern const Kernel penalize = {penalizeTasks, runPenalize, penalizeScratch};
extern const Kernel maskTokens = {maskTasks, runMask, noScratch};
extern const Kernel warp = {warpTasks, runWarp, warpScratch};

}  // namespace loquent::LOQUENT_ISA
