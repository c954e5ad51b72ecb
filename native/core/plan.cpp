#include "plan.h"

#include <chrono>

#include <stdexcept>
#include <string>

#include "check.h"

namespace loquent {

namespace {

[[noreturn]] void refuse(const std::string& reason) { throw std::runtime_error("program refused: " + reason); }

constexpr size_t fixedWords = sizeof(ProgramHeader) / 4 + fieldCount;
constexpr size_t cacheWords = sizeof(CacheRecord) / 4;

int64_t bytesOfLines(int32_t lines) { return static_cast<int64_t>(lines) * lineBytes; }

void needSpace(const std::shared_ptr<Memory>& memory, int32_t lines, const char* name) {
  const int64_t have = memory ? static_cast<int64_t>(memory->bytes()) : 0;
  if (lines < 0 || bytesOfLines(lines) > have) refuse(std::string("the ") + name + " arena is too small");
}

/** Words that kernels may touch of a field; the twin of src/ops/frame.ts. */
int64_t fieldWords(Field f, const Limits& l) {
  switch (f) {
    case Field::counts: return 8;
    case Field::tokenIds:
    case Field::positions:
    case Field::ropeLengths:
    case Field::slots:
    case Field::tokenSequences: return l.tokens;
    case Field::queryStarts: return static_cast<int64_t>(l.sequences) + 1;
    case Field::contextLengths: return l.sequences;
    case Field::blockTables: return l.sequences * ((static_cast<int64_t>(l.context) + l.blockSize - 1) / l.blockSize);
    case Field::masks: return l.masks * ((static_cast<int64_t>(l.vocabulary) + 31) / 32);
    case Field::history: return static_cast<int64_t>(l.sequences) * l.context;
    case Field::topIds:
    case Field::topLogprobs: return static_cast<int64_t>(l.samples) * l.topTokens;
    default: return l.samples;
  }
}

void checkLimits(const Limits& l) {
  const bool positive = l.tokens > 0 && l.sequences > 0 && l.samples > 0 && l.context > 0 && l.blocks > 0 && l.vocabulary > 0;
  if (!positive || l.topTokens < 0 || l.masks < 0) refuse("a limit is not positive");
  if (l.blockSize != keyTile) refuse("a KV block does not hold " + std::to_string(keyTile) + " tokens");
}

}  // namespace

Plan::Plan(std::vector<int32_t> words, Arenas arenas, const KernelSet& set) : words_(std::move(words)), arenas_(std::move(arenas)) {
  if (words_.size() < fixedWords) refuse("it is cut short");
  header_ = reinterpret_cast<const ProgramHeader*>(words_.data());
  const ProgramHeader& h = *header_;
  if (h.magic != programMagic) refuse("it is not an encoded program");
  if (h.hash != tableHash) refuse("the addon was built from another op table; build it again (npm run build)");
  if (h.words != static_cast<int64_t>(words_.size()) || h.instructions < 0 || h.caches < 0) refuse("it is cut short");
  if (fixedWords + static_cast<size_t>(h.caches) * cacheWords > words_.size()) refuse("it is cut short");
  checkLimits(h.limits);
  needSpace(arenas_.weights, h.weightLines, "weights");
  needSpace(arenas_.activations, h.activationLines, "activations");
  needSpace(arenas_.cache, h.cacheLines, "cache");
  fields_ = words_.data() + sizeof(ProgramHeader) / 4;
  if (h.frameLines < 0) refuse("the frame is too small");
  frameBytes_ = static_cast<size_t>(bytesOfLines(h.frameLines));
  for (int32_t f = 0; f < fieldCount; f++) {
    const int32_t next = f + 1 < fieldCount ? fields_[f + 1] : h.frameLines;
    const int64_t room = bytesOfLines(next) - bytesOfLines(fields_[f]);
    if (fields_[f] < 0 || room < fieldWords(static_cast<Field>(f), h.limits) * 4) refuse("a frame field is too small");
  }
  readCaches(fields_ + fieldCount);
  const int32_t* records = fields_ + fieldCount + static_cast<size_t>(h.caches) * cacheWords;
  readInstructions(records, words_.data() + words_.size(), h.instructions, set);
}

void Plan::readCaches(const int32_t* words) {
  const CacheRecord* record = reinterpret_cast<const CacheRecord*>(words);
  for (int32_t i = 0; i < header_->caches; i++, record++) {
    if (record->offset < 0 || record->kvHeads <= 0 || record->headDim <= 0) refuse("a cache has no extent");
    if (record->format < 0 || record->format > static_cast<int32_t>(KvFormat::int8)) refuse("a cache has an unknown format");
    const KvFormat format = static_cast<KvFormat>(record->format);
    const int64_t block = record->kvHeads * headLayout(format, record->headDim).bytes;
    const int64_t end = bytesOfLines(record->offset) + bytesOfLines(record->blockLines) * header_->limits.blocks;
    if (bytesOfLines(record->blockLines) < block || end > bytesOfLines(header_->cacheLines)) refuse("a cache leaves its arena");
    caches_.push_back({arenas_.cache->data() + bytesOfLines(record->offset), bytesOfLines(record->blockLines), record->kvHeads, record->headDim, format});
  }
}

void Plan::readInstructions(const int32_t* words, const int32_t* end, int32_t count, const KernelSet& set) {
  const Bounds bounds = {
      header_->limits,
      {0, bytesOfLines(header_->weightLines), bytesOfLines(header_->activationLines), bytesOfLines(header_->frameLines)},
      caches_,
  };
  size_t shared = 0;
  for (int32_t i = 0; i < count; i++) {
    if (end - words < 2) refuse("it is cut short");
    const OpRule* rule = ruleOf(words[0]);
    if (!rule) refuse("unknown op " + std::to_string(words[0]));
    if (words[1] != rule->words || end - words - 2 < rule->words) refuse(std::string(rule->name) + ": wrong length");
    const int32_t* record = words + 2;
    checkRecord(*rule, record, bounds);
    if (static_cast<Op>(rule->id) == Op::embedding) lookups_.push_back(reinterpret_cast<const op::Embedding*>(record));
    const Kernel* kernel = set.kernels[rule->id];
    const size_t scratch = kernel->scratch(header_->limits, record);
    scratchBytes_ = scratch > scratchBytes_ ? scratch : scratchBytes_;
    const size_t together = kernel->shared ? kernel->shared(header_->limits, record) : 0;
    shared = together > shared ? together : shared;
    instructions_.push_back({kernel, record});
    words = record + rule->words;
  }
  if (words != end) refuse("words are left over");
  shared_ = Memory::reserve(shared);
  spent_ = std::make_unique<std::atomic<int64_t>[]>(instructions_.size());
}

namespace {

/** Reads the frame for the checks below. */
struct Reader {
  const Step& step;
  const int32_t* ints(Field f) const { return at(step.fields[static_cast<int>(f)]); }
  const int32_t* at(int64_t line) const {
    return reinterpret_cast<const int32_t*>(step.base[static_cast<int>(Space::frame)] + line * lineBytes);
  }
  void within(Field f, int32_t count, int64_t low, int64_t high, const char* name) const {
    within(ints(f), count, low, high, name);
  }
  void within(const int32_t* v, int32_t count, int64_t low, int64_t high, const char* name) const {
    for (int32_t i = 0; i < count; i++) {
      if (v[i] < low || v[i] >= high) throw std::runtime_error(std::string("frame refused: ") + name + " is out of range");
    }
  }
};

void checkSequences(const Reader& read, const Step& s) {
  const Limits& l = *s.limits;
  const int32_t* starts = read.ints(Field::queryStarts);
  const int32_t* positions = read.ints(Field::positions);
  const int32_t* blocks = read.ints(Field::blockTables);
  const int64_t perSequence = (l.context + l.blockSize - 1) / l.blockSize;
  const auto need = [](bool condition, const char* what) {
    if (!condition) throw std::runtime_error(std::string("frame refused: ") + what);
  };
  const int32_t tokens = s.rows[static_cast<int>(Domain::tokens)];
  need(s.sequences == 0 || (starts[0] == 0 && starts[s.sequences] == tokens), "query ranges do not cover the tokens");
  for (int32_t q = 0; q < s.sequences; q++) {
    need(starts[q] <= starts[q + 1] && starts[q] >= 0 && starts[q + 1] <= tokens, "query ranges overlap");
    int32_t last = -1;
    for (int32_t t = starts[q]; t < starts[q + 1]; t++) last = positions[t] > last ? positions[t] : last;
    for (int32_t b = 0; b <= last / l.blockSize && last >= 0; b++) {
      const int32_t block = blocks[q * perSequence + b];
      need(block >= 0 && block < l.blocks, "a block table names a block that is not there");
    }
  }
}

}  // namespace

void Plan::checkFrame(const Step& s) const {
  const Limits& l = *s.limits;
  const Reader read{s};
  const int32_t tokens = s.rows[static_cast<int>(Domain::tokens)], samples = s.rows[static_cast<int>(Domain::samples)];
  const int32_t counts[] = {tokens, s.sequences, samples};
  const int32_t most[] = {l.tokens, l.sequences, l.samples};
  for (int i = 0; i < 3; i++) {
    if (counts[i] < 0 || counts[i] > most[i]) throw std::runtime_error("frame refused: counts are out of range");
  }
  for (const op::Embedding* lookup : lookups_) {
    read.within(read.at(lookup->ids.offset), s.rows[lookup->ids.domain], 0, lookup->weight.rows, "a token id");
  }
  read.within(Field::positions, tokens, 0, l.context, "a position");
  if (!caches_.empty()) {
    read.within(Field::slots, tokens, 0, static_cast<int64_t>(l.blocks) * l.blockSize, "a slot");
    checkSequences(read, s);
  }
  read.within(Field::sampleRows, samples, 0, tokens, "a sample row");
  read.within(Field::sampleHistory, samples, 0, l.sequences, "a history row");
  read.within(Field::sampleLengths, samples, 0, static_cast<int64_t>(l.context) + 1, "a history length");
  read.within(Field::sampleTargets, samples, -1, l.vocabulary, "a target");
  read.within(Field::sampleMasks, samples, -1, l.masks, "a mask");
}

/** A step: its instructions are the batches. */
class Plan::Run : public Job {
 public:
  Run(std::shared_ptr<const Plan> plan, uint8_t* frame, int32_t threads) : plan_(std::move(plan)), frame_(frame), threads_(threads) {}
  size_t scratchBytes() const override { return plan_->scratchBytes_; }

  bool next(Batch& batch) override {
    if (at_ == 0) {
      begin();
    } else {
      account();
    }
    if (at_ == plan_->instructions_.size()) return false;
    const Instruction& instruction = plan_->instructions_[at_++];
    const Kernel& kernel = *instruction.kernel;
    batch = {kernel.tasks(step_, instruction.record), run, kernel.commit ? commit : nullptr, &step_, &instruction};
    return true;
  }

 private:
  static void run(const void* step, const void* item, int32_t piece, uint8_t* scratch) {
    const auto& instruction = *static_cast<const Instruction*>(item);
    instruction.kernel->run(*static_cast<const Step*>(step), instruction.record, piece, scratch);
  }
  static void commit(const void* step, const void* item, int32_t piece, const uint8_t* scratch) {
    const auto& instruction = *static_cast<const Instruction*>(item);
    instruction.kernel->commit(*static_cast<const Step*>(step), instruction.record, piece, scratch);
  }

  void begin() {
    const Plan& p = *plan_;
    const int32_t* counts = reinterpret_cast<const int32_t*>(frame_ + static_cast<int64_t>(p.fields_[static_cast<int>(Field::counts)]) * lineBytes);
    const auto data = [](const std::shared_ptr<Memory>& m) { return m ? m->data() : nullptr; };
    step_ = {
        {nullptr, data(p.arenas_.weights), data(p.arenas_.activations), frame_},
        p.fields_,
        &p.header_->limits,
        p.caches_.data(),
        data(p.shared_),
        {0, counts[0], counts[2]},
        counts[1],
        threads_,
        ++p.steps_,
    };
    p.checkFrame(step_);
    before_ = std::chrono::steady_clock::now();
  }

  /** One look at the clock an instruction, some 30 ns: cheap enough to be always on. */
  void account() {
    const auto now = std::chrono::steady_clock::now();
    std::atomic<int64_t>& spent = plan_->spent_[at_ - 1];
    const int64_t more = std::chrono::duration_cast<std::chrono::nanoseconds>(now - before_).count();
    spent.store(spent.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
    before_ = now;
  }

  std::shared_ptr<const Plan> plan_;
  uint8_t* frame_;
  int32_t threads_;
  Step step_ = {};
  // Changes with every instruction, while all threads read the step.
  alignas(64) size_t at_ = 0;
  std::chrono::steady_clock::time_point before_;
};

std::unique_ptr<Job> Plan::step(std::shared_ptr<const Plan> plan, uint8_t* frame, int32_t threads) {
  return std::make_unique<Run>(std::move(plan), frame, threads);
}

}  // namespace loquent
