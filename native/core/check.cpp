#include "check.h"

#include <stdexcept>
#include <string>

#include "formats.h"
#include "pack.h"
#include "panels.h"

namespace loquent {

namespace {

class Checker {
 public:
  Checker(const OpRule& rule, const int32_t* record, const Bounds& bounds) : rule_(rule), record_(record), bounds_(bounds) {}

  void operands() {
    const Operand* operand = reinterpret_cast<const Operand*>(record_);
    for (int32_t i = 0; i < rule_.operands; i++) check(rule_.operand[i], operand[i]);
  }

  void shapes() {
    switch (static_cast<Op>(rule_.id)) {
      case Op::embedding: return embedding(as<op::Embedding>());
      case Op::linear: return linear(as<op::Linear>());
      case Op::rmsNorm: return norm(as<op::RmsNorm>());
      case Op::addRmsNorm: return addNorm(as<op::AddRmsNorm>());
      case Op::ropeTable: return ropeTable(as<op::RopeTable>());
      case Op::rope: return rope(as<op::Rope>());
      case Op::writeKv: return writeKv(as<op::WriteKv>());
      case Op::attention: return attention(as<op::Attention>());
      case Op::gatedActivation: return gated(as<op::GatedActivation>());
      case Op::add: return same(as<op::Add>().out, {&as<op::Add>().x, &as<op::Add>().y});
      case Op::selectRows: return select(as<op::SelectRows>());
      case Op::penalize: return same(as<op::Penalize>().out, {&as<op::Penalize>().logits});
      case Op::maskTokens: return same(as<op::MaskTokens>().out, {&as<op::MaskTokens>().logits});
      case Op::warp: return same(as<op::Warp>().out, {&as<op::Warp>().logits});
      case Op::choose: return samples(as<op::Choose>().logits);
      case Op::topTokens: return samples(as<op::TopTokens>().logits);
      case Op::encode: return encode(as<op::Encode>());
      case Op::gatedLinear: return gatedLinear(as<op::GatedLinear>());
    }
  }

 private:
  template <typename R>
  const R& as() const {
    return *reinterpret_cast<const R*>(record_);
  }

  [[noreturn]] void refuse(const std::string& what) const {
    throw std::runtime_error(std::string("program refused: ") + rule_.name + ": " + what);
  }
  void need(bool condition, const char* what) const {
    if (!condition) refuse(what);
  }

  int64_t rowsOf(const Operand& o) const {
    if (o.domain == static_cast<int32_t>(Domain::tokens)) return bounds_.limits.tokens;
    if (o.domain == static_cast<int32_t>(Domain::samples)) return bounds_.limits.samples;
    return o.rows;
  }

  void check(const OperandRule& rule, const Operand& o) const {
    constexpr Space spaceOf[] = {Space::activations, Space::weights, Space::frame, Space::activations};
    const std::string name = rule.name;
    if (rule.optional && o.space == static_cast<int32_t>(Space::none)) return;
    if (o.space != static_cast<int32_t>(spaceOf[static_cast<int>(rule.kind)])) refuse(name + " is in the wrong space");
    const int32_t format = o.storage & 255, layout = o.storage >> 8;
    if (o.offset < 0 || o.domain < 0 || o.domain > 2 || o.rows < 0 || o.width <= 0 || o.stride < 0 || o.column < 0) {
      refuse(name + " has a negative or empty extent");
    }
    if (format >= formatCount || layout < 0 || layout > 1) refuse(name + " has an unknown format or layout");
    const int64_t available = bounds_.bytes[o.space] - static_cast<int64_t>(o.offset) * lineBytes;
    if (bytesOf(rule, o, static_cast<Format>(format), static_cast<Layout>(layout), name) > available) refuse(name + " leaves its arena");
  }

  int64_t bytesOf(const OperandRule& rule, const Operand& o, Format format, Layout layout, const std::string& name) const {
    if (rule.kind == Kind::frame) return rowsOf(o) * 4;
    if (rule.kind == Kind::weight) {
      if (o.domain != 0 || o.rows == 0 || o.column != 0 || o.stride != o.width) refuse(name + " is not a whole matrix");
      if (o.width % formatShapes[static_cast<int>(format)].elementsPerBlock != 0) refuse(name + " has rows that are not whole blocks");
      return packedBytes(format, layout, o.rows, o.width);
    }
    if (layout != Layout::rows) refuse(name + " is not rows");
    if (o.domain == 0) refuse(name + " has no row domain");
    if (format != Format::f32) return encodedBytesOf(rule, o, format, name);
    return ((rowsOf(o) - 1) * o.stride + o.column + o.width) * 4;
  }

  /** Only some ops make rows that are not float32, and only products read them. */
  int64_t encodedBytesOf(const OperandRule& rule, const Operand& o, Format format, const std::string& name) const {
    const Op op = static_cast<Op>(rule_.id);
    const bool made = (op == Op::encode || op == Op::rmsNorm || op == Op::addRmsNorm || op == Op::gatedLinear || op == Op::attention) && name == "out";
    const bool multiplies = op == Op::linear || op == Op::gatedLinear;
    const bool read = multiplies && name == "x";
    if ((!made && !read) || (format != Format::bf16 && format != Format::q8_0)) refuse(name + " is not float32 rows");
    if (o.column != 0 || (format == Format::q8_0 && o.width % blockLength != 0)) refuse(name + " is not whole blocks");
    if (static_cast<int64_t>(o.stride) * 4 < encodedBytes(format, o.width)) refuse(name + " has rows that overlap");
    return (rowsOf(o) - 1) * o.stride * 4 + encodedBytes(format, o.width);
  }

  void plain(const Operand& weight, int32_t width) const {
    need(weight.storage == static_cast<int32_t>(Format::f32), "a vector is not float32");
    need(weight.width == width, "a vector does not fit");
  }

  void same(const Operand& out, std::initializer_list<const Operand*> inputs) const {
    for (const Operand* o : inputs) need(o->width == out.width && o->domain == out.domain, "widths or domains differ");
    if (rule_.id >= static_cast<int32_t>(Op::penalize) && rule_.id <= static_cast<int32_t>(Op::topTokens)) samples(out);
  }

  void samples(const Operand& o) const { need(o.domain == static_cast<int32_t>(Domain::samples), "logits are not of samples"); }

  void embedding(const op::Embedding& o) const {
    need(o.ids.domain == o.out.domain && o.weight.width == o.out.width, "widths or domains differ");
  }

  void linear(const op::Linear& o) const {
    product(o.x, o.weight, o.out, o.out.width);
    if (o.bias.space != 0) plain(o.bias, o.out.width);
    activation(o.activation);
  }

  void gatedLinear(const op::GatedLinear& o) const {
    need(o.out.width <= INT32_MAX / 2, "widths differ");
    product(o.x, o.weight, o.out, 2 * o.out.width);
    rounded(o.out, o.rounding);
    activation(o.activation);
  }

  void product(const Operand& x, const Operand& weight, const Operand& out, int32_t rows) const {
    need(weight.storage >> 8 == static_cast<int32_t>(Layout::panels), "the weight is not in panels");
    const Format format = static_cast<Format>(weight.storage & 255);
    need(x.storage == static_cast<int32_t>(inputFormat(format)), "x is not rounded as the weight needs it");
    need(x.width == weight.width && rows == weight.rows, "widths differ");
    need(x.domain == out.domain, "domains differ");
  }

  void encode(const op::Encode& o) const {
    same(o.out, {&o.x});
    const Format format = o.encoding == Encoding::bf16 ? Format::bf16 : Format::q8_0;
    need(o.encoding == Encoding::bf16 || o.encoding == Encoding::q8_0, "unknown encoding");
    need(o.out.storage == static_cast<int32_t>(format), "out is not what it is encoded to");
  }

  void activation(Activation a) const {
    need(static_cast<int32_t>(a) >= 0 && static_cast<int32_t>(a) <= static_cast<int32_t>(Activation::silu), "unknown activation");
  }

  void rounded(const Operand& out, Rounding rounding) const {
    const Format format = rounding == Rounding::bf16 ? Format::bf16 : rounding == Rounding::q8_0 ? Format::q8_0 : Format::f32;
    need(rounding >= Rounding::none && rounding <= Rounding::q8_0, "unknown rounding");
    need(out.storage == static_cast<int32_t>(format), "out is not what it is rounded to");
  }

  void norm(const op::RmsNorm& o) const {
    same(o.out, {&o.x});
    rounded(o.out, o.rounding);
    plain(o.weight, o.out.width);
  }

  void addNorm(const op::AddRmsNorm& o) const {
    same(o.out, {&o.x, &o.y, &o.sum});
    rounded(o.out, o.rounding);
    plain(o.weight, o.out.width);
  }

  void ropeTable(const op::RopeTable& o) const {
    need(o.positions.domain == o.out.domain && o.lengths.domain == o.out.domain, "domains differ");
    need(o.out.width == 2 * o.frequencies.width, "the table is not twice the frequencies wide");
    plain(o.frequencies, o.frequencies.width);
    need(!(o.dynamicFactor > 0) || (o.frequencies.width > 1 && o.threshold > 0), "nothing to stretch");
  }

  void rope(const op::Rope& o) const {
    same(o.out, {&o.x});
    need(o.heads > 0 && o.headDim > 0 && static_cast<int64_t>(o.heads) * o.headDim == o.x.width, "x is not heads * headDim wide");
    rotation(o.table, o.x, o.headDim, o.style);
  }

  void rotation(const Operand& table, const Operand& x, int32_t headDim, Style style) const {
    need(style == Style::half || style == Style::interleaved, "unknown style");
    if (table.space == 0) return;
    need(table.domain == x.domain && table.width <= headDim && table.width % 2 == 0, "the table does not fit");
  }

  void cache(int32_t layer, int32_t kvHeads, int32_t headDim) const {
    need(layer >= 0 && layer < static_cast<int32_t>(bounds_.caches.size()), "no such cache");
    const Cache& c = bounds_.caches[static_cast<size_t>(layer)];
    need(c.kvHeads == kvHeads && c.headDim == headDim, "the cache has another shape");
  }

  void writeKv(const op::WriteKv& o) const {
    cache(o.layer, o.kvHeads, o.headDim);
    need(static_cast<int64_t>(o.kvHeads) * o.headDim == o.k.width && o.k.width == o.v.width, "k or v is not kvHeads * headDim wide");
    tokens(o.k);
    tokens(o.v);
    rotation(o.table, o.k, o.headDim, o.style);
  }

  void attention(const op::Attention& o) const {
    cache(o.layer, o.kvHeads, o.headDim);
    need(o.heads > 0 && o.heads % o.kvHeads == 0, "heads is not a multiple of kvHeads");
    need(static_cast<int64_t>(o.heads) * o.headDim == o.q.width && o.out.width == o.q.width, "q is not heads * headDim wide");
    need(o.window >= 0, "the window is negative");
    if (o.slopes.space != 0) plain(o.slopes, o.heads);
    if (o.bias.space != 0) plain(o.bias, o.heads);
    if (o.buckets.space != 0) plain(o.buckets, o.buckets.width);
    need((o.bias.space != 0) == (o.buckets.space != 0), "a bias without buckets, or buckets without a bias");
    tokens(o.q);
    tokens(o.out);
    rounded(o.out, o.rounding);
    need(o.rounding == Rounding::none || o.headDim % blockLength == 0, "heads are not whole blocks");
    rotation(o.table, o.q, o.headDim, o.style);
  }

  void tokens(const Operand& o) const { need(o.domain == static_cast<int32_t>(Domain::tokens), "an operand is not of tokens"); }

  void gated(const op::GatedActivation& o) const {
    same(o.out, {&o.gate, &o.up});
    activation(o.activation);
  }

  void select(const op::SelectRows& o) const {
    tokens(o.x);
    samples(o.out);
    need(o.x.width == o.out.width, "widths differ");
  }

  const OpRule& rule_;
  const int32_t* record_;
  const Bounds& bounds_;
};

}  // namespace

const OpRule* ruleOf(int32_t op) {
  for (const OpRule& rule : opRules) {
    if (rule.id == op) return &rule;
  }
  return nullptr;
}

void checkRecord(const OpRule& rule, const int32_t* record, const Bounds& bounds) {
  Checker checker(rule, record, bounds);
  checker.operands();
  checker.shapes();
}

}  // namespace loquent
