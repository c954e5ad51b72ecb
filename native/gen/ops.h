// Generated from src/ops by scripts/generate.mjs; edit the op table, not this file.
#pragma once
#include <stdint.h>

namespace loquent {
constexpr int32_t tableHash = 1069158215;
constexpr int32_t programMagic = 827412300;
constexpr int32_t lineBytes = 64;
enum class Domain : int32_t { fixed = 0, tokens = 1, samples = 2 };
enum class Space : int32_t { none = 0, weights = 1, activations = 2, frame = 3 };
enum class Layout : int32_t { rows = 0, panels = 1 };
enum class Format : int32_t { f32 = 0, f16 = 1, bf16 = 2, q8_0 = 3, q4_0 = 4, q4_1 = 5, q5_0 = 6, q5_1 = 7, q2_k = 8, q3_k = 9, q4_k = 10, q5_k = 11, q6_k = 12, i8_row = 13, i8_128 = 14, i8_64 = 15, i8_32 = 16, u4_row = 17, u4_128 = 18, u4_64 = 19, u4_32 = 20, nf4 = 21, fp4 = 22, lut4 = 23 };
enum class KvFormat : int32_t { f32 = 0, bf16 = 1, int8 = 2 };
struct FormatShape { int32_t elementsPerBlock, bytesPerBlock, bytesPerRow; };
constexpr int32_t formatCount = 24;
/** Indexed by format id. */
constexpr FormatShape formatShapes[] = {
    {1, 4, 0},  // f32
    {1, 2, 0},  // f16
    {1, 2, 0},  // bf16
    {32, 34, 0},  // q8_0
    {32, 18, 0},  // q4_0
    {32, 20, 0},  // q4_1
    {32, 22, 0},  // q5_0
    {32, 24, 0},  // q5_1
    {256, 84, 0},  // q2_k
    {256, 110, 0},  // q3_k
    {256, 144, 0},  // q4_k
    {256, 176, 0},  // q5_k
    {256, 210, 0},  // q6_k
    {32, 32, 4},  // i8_row
    {128, 132, 0},  // i8_128
    {64, 68, 0},  // i8_64
    {32, 36, 0},  // i8_32
    {32, 16, 5},  // u4_row
    {128, 69, 0},  // u4_128
    {64, 37, 0},  // u4_64
    {32, 21, 0},  // u4_32
    {64, 36, 0},  // nf4
    {64, 36, 0},  // fp4
    {64, 36, 64},  // lut4
};
struct Limits { int32_t tokens, sequences, samples, context, blocks, blockSize, vocabulary, topTokens, masks; };
struct ProgramHeader { int32_t magic, hash, words, instructions, caches, weightLines, activationLines, cacheLines, frameLines; Limits limits; };
struct CacheRecord { int32_t offset, blockLines, kvHeads, headDim, format; };
enum class Field : int32_t { counts = 0, tokenIds = 1, positions = 2, ropeLengths = 3, slots = 4, tokenSequences = 5, queryStarts = 6, contextLengths = 7, blockTables = 8, sampleRows = 9, sampleHistory = 10, sampleLengths = 11, sampleTargets = 12, sampleSeedLow = 13, sampleSeedHigh = 14, sampling = 15, temperature = 16, topK = 17, topP = 18, typicalP = 19, repetitionPenalty = 20, frequencyPenalty = 21, sampleMasks = 22, topTokens = 23, masks = 24, history = 25, chosen = 26, chosenLogprobs = 27, sampleStatus = 28, topCounts = 29, topIds = 30, topLogprobs = 31, watermarkGamma = 32, watermarkDelta = 33 };
constexpr int32_t fieldCount = 34;
enum class Op : int32_t { embedding = 1, linear = 2, rmsNorm = 3, addRmsNorm = 4, ropeTable = 5, rope = 6, writeKv = 7, attention = 8, gatedActivation = 9, add = 10, selectRows = 11, penalize = 12, maskTokens = 13, warp = 14, choose = 15, topTokens = 16, encode = 17, gatedLinear = 18 };
constexpr int32_t opCount = 19;
enum class Activation : int32_t { none = 0, relu = 1, gelu = 2, gelu_tanh = 3, quick_gelu = 4, silu = 5 };
enum class Rounding : int32_t { none = 0, bf16 = 1, q8_0 = 2 };
enum class Style : int32_t { half = 0, interleaved = 1 };
enum class Encoding : int32_t { bf16 = 0, q8_0 = 1 };
/** An operand resolved to memory: offset in lines, the rest in elements; storage is format | layout << 8. */
struct Operand { int32_t space, offset, domain, rows, width, stride, column, storage; };
enum class Kind : int32_t { activation, weight, frame, output };
struct OperandRule { const char* name; Kind kind; bool optional; };
struct OpRule { const char* name; int32_t id, words, operands; OperandRule operand[6]; };
constexpr OpRule opRules[] = {
    {"embedding", 1, 24, 3, {{"ids", Kind::frame, false}, {"weight", Kind::weight, false}, {"out", Kind::output, false}}},
    {"linear", 2, 33, 4, {{"x", Kind::activation, false}, {"weight", Kind::weight, false}, {"bias", Kind::weight, true}, {"out", Kind::output, false}}},
    {"rmsNorm", 3, 27, 3, {{"x", Kind::activation, false}, {"weight", Kind::weight, false}, {"out", Kind::output, false}}},
    {"addRmsNorm", 4, 43, 5, {{"x", Kind::activation, false}, {"y", Kind::activation, false}, {"weight", Kind::weight, false}, {"sum", Kind::output, false}, {"out", Kind::output, false}}},
    {"ropeTable", 5, 37, 4, {{"positions", Kind::frame, false}, {"lengths", Kind::frame, false}, {"frequencies", Kind::weight, false}, {"out", Kind::output, false}}},
    {"rope", 6, 27, 3, {{"x", Kind::activation, false}, {"table", Kind::activation, false}, {"out", Kind::output, false}}},
    {"writeKv", 7, 28, 3, {{"k", Kind::activation, false}, {"v", Kind::activation, false}, {"table", Kind::activation, true}}},
    {"attention", 8, 57, 6, {{"q", Kind::activation, false}, {"table", Kind::activation, true}, {"slopes", Kind::weight, true}, {"bias", Kind::weight, true}, {"buckets", Kind::weight, true}, {"out", Kind::output, false}}},
    {"gatedActivation", 9, 25, 3, {{"gate", Kind::activation, false}, {"up", Kind::activation, false}, {"out", Kind::output, false}}},
    {"add", 10, 24, 3, {{"x", Kind::activation, false}, {"y", Kind::activation, false}, {"out", Kind::output, false}}},
    {"selectRows", 11, 16, 2, {{"x", Kind::activation, false}, {"out", Kind::output, false}}},
    {"penalize", 12, 16, 2, {{"logits", Kind::activation, false}, {"out", Kind::output, false}}},
    {"maskTokens", 13, 16, 2, {{"logits", Kind::activation, false}, {"out", Kind::output, false}}},
    {"warp", 14, 16, 2, {{"logits", Kind::activation, false}, {"out", Kind::output, false}}},
    {"choose", 15, 8, 1, {{"logits", Kind::activation, false}}},
    {"topTokens", 16, 8, 1, {{"logits", Kind::activation, false}}},
    {"encode", 17, 17, 2, {{"x", Kind::activation, false}, {"out", Kind::output, false}}},
    {"gatedLinear", 18, 26, 3, {{"x", Kind::activation, false}, {"weight", Kind::weight, false}, {"out", Kind::output, false}}},
};
namespace op {
/** out[r] = weight[ids[r]] */
struct Embedding {
  static constexpr Op op = Op::embedding;
  Operand ids;
  Operand weight;
  Operand out;
};
/** out = activation(x . weight^T + bias); weight is [out, in] */
struct Linear {
  static constexpr Op op = Op::linear;
  Operand x;
  Operand weight;
  Operand bias;
  Operand out;
  Activation activation;
};
/** out = x / sqrt(mean(x^2) + epsilon) * (weight + offset) */
struct RmsNorm {
  static constexpr Op op = Op::rmsNorm;
  Operand x;
  Operand weight;
  Operand out;
  float epsilon;
  float offset;
  Rounding rounding;
};
/** sum = x + y; out = rmsNorm(sum) */
struct AddRmsNorm {
  static constexpr Op op = Op::addRmsNorm;
  Operand x;
  Operand y;
  Operand weight;
  Operand sum;
  Operand out;
  float epsilon;
  float offset;
  Rounding rounding;
};
/** cosines then sines of position * frequency, one row a token. Row 0 of frequencies serves sequences whose rope length is at most threshold, row 1 longer ones; dynamicFactor > 0 raises the base with the length instead (NTK) */
struct RopeTable {
  static constexpr Op op = Op::ropeTable;
  Operand positions;
  Operand lengths;
  Operand frequencies;
  Operand out;
  int32_t threshold;
  float scaleShort;
  float scaleLong;
  float dynamicFactor;
  float base;
};
/** rotates the first table.width dimensions of every head; the others pass through */
struct Rope {
  static constexpr Op op = Op::rope;
  Operand x;
  Operand table;
  Operand out;
  int32_t heads;
  int32_t headDim;
  Style style;
};
/** stores keys and values of this step at their slots of the paged cache of a layer; keys rotated as by rope where there is a table */
struct WriteKv {
  static constexpr Op op = Op::writeKv;
  Operand k;
  Operand v;
  Operand table;
  int32_t layer;
  int32_t kvHeads;
  int32_t headDim;
  Style style;
};
/** softmax(scale * q . k) . v over the cached keys at positions [max(0, p - window + 1), p]; window 0 sees all, softcap 0 is off. After scale and cap a score loses slopes[head] * distance (ALiBi) and gains bias[buckets[distance]][head] (relative bias; distances beyond the last count as the last). q is rotated as by rope where there is a table */
struct Attention {
  static constexpr Op op = Op::attention;
  Operand q;
  Operand table;
  Operand slopes;
  Operand bias;
  Operand buckets;
  Operand out;
  int32_t layer;
  int32_t heads;
  int32_t headDim;
  int32_t kvHeads;
  float scale;
  int32_t window;
  float softcap;
  Style style;
  Rounding rounding;
};
/** out = activation(gate) * up */
struct GatedActivation {
  static constexpr Op op = Op::gatedActivation;
  Operand gate;
  Operand up;
  Operand out;
  Activation activation;
};
/** out = x + y */
struct Add {
  static constexpr Op op = Op::add;
  Operand x;
  Operand y;
  Operand out;
};
/** out[s] = x[sampleRows[s]]: from all tokens to the rows whose logits are wanted */
struct SelectRows {
  static constexpr Op op = Op::selectRows;
  Operand x;
  Operand out;
};
/** watermark (green list of the last id), repetition, then frequency penalty over the ids of the history; rows with a target pass */
struct Penalize {
  static constexpr Op op = Op::penalize;
  Operand logits;
  Operand out;
};
/** logits of tokens that the mask forbids become -infinity; rows with a target or without a mask pass */
struct MaskTokens {
  static constexpr Op op = Op::maskTokens;
  Operand logits;
  Operand out;
};
/** temperature, top-k, top-p, typical-p, in this order; what is removed becomes -infinity; rows with a target pass */
struct Warp {
  static constexpr Op op = Op::warp;
  Operand logits;
  Operand out;
};
/** greatest logit (first wins ties), or a draw from softmax by inverse distribution at Philox(seed, length); with its log-probability */
struct Choose {
  static constexpr Op op = Op::choose;
  Operand logits;
};
/** the n likeliest tokens of a row with log-probabilities, ties with the n-th included up to the limit */
struct TopTokens {
  static constexpr Op op = Op::topTokens;
  Operand logits;
};
/** x rounded to what a product takes; only linear and gatedLinear read what is rounded so, here or where it is made (see ops/encoding.ts) */
struct Encode {
  static constexpr Op op = Op::encode;
  Operand x;
  Operand out;
  Encoding encoding;
};
/** out = activation(x . gate^T) * (x . up^T); the first half of the rows of the weight is gate, the second up */
struct GatedLinear {
  static constexpr Op op = Op::gatedLinear;
  Operand x;
  Operand weight;
  Operand out;
  Activation activation;
  Rounding rounding;
};
}  // namespace op
}  // namespace loquent
