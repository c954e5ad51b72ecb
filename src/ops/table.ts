import type { Domain } from './domain.ts'
import { encodedBlock, encodings } from './encoding.ts'
import type { FrameField } from './frame.ts'

/**
 * The op table: the whole vocabulary between models and backends. The C++ header is generated from it
 * (`native/gen/ops.h`), the graph builder and the encoder read it, and the conformance suite runs every entry.
 *
 * Every activation is float32 `[rows, width]`, but for the results of `encode`; rows come from a domain and are known only
 * in a step.
 */

/** Non-linearities an op may carry. Order is their number in an encoded program. */
export const activations = ['none', 'relu', 'gelu', 'gelu_tanh', 'quick_gelu', 'silu'] as const
export type Activation = (typeof activations)[number]

/** half: pairs (i, i + rotaryDim/2), the "neox" style; interleaved: pairs (2i, 2i + 1), the "gptj" style. */
export const ropeStyles = ['half', 'interleaved'] as const
export type RopeStyle = (typeof ropeStyles)[number]

/** What an op may round its result to, so that no `encode` need follow. */
export const roundings = ['none', ...encodings] as const
export type Rounding = (typeof roundings)[number]

export type OperandKind = 'activation' | 'weight' | 'frame' | 'output'

interface OperandShape {
  readonly kind: OperandKind
  readonly optional?: true
  /** For an output: the operand whose storage it may take over when that is not read again. */
  readonly reuses?: string
  /** For an output: the attribute that says what it is rounded to as it is made. */
  readonly rounded?: string
  /** Where that needs the result to be made in whole blocks: the attribute that says how many columns are made together. */
  readonly unit?: string
}

export type AttributeType = 'i32' | 'f32' | readonly string[]

/** Widths and sizes an op's rules see: `width` of activations, `rows` x `columns` of weights. */
export interface OperandFacts {
  readonly domain: Domain
  readonly width: number
  readonly rows: number
}

type Facts = Readonly<Record<string, OperandFacts | undefined>>
type AttributeValues = Readonly<Record<string, number | string>>

interface Shape {
  readonly domain: Domain
  readonly width: number
}

/** Arithmetic operations and bytes of activations and weights touched, per row of the output domain; for benches. */
export interface Cost {
  readonly flops: number
  readonly bytes: number
}

export interface OpShape {
  readonly id: number
  readonly doc: string
  readonly operands: Readonly<Record<string, OperandShape>>
  readonly attributes: Readonly<Record<string, AttributeType>>
  /** Attributes that a graph need not name, because passes set them. */
  readonly defaults?: AttributeValues
  /** Frame fields read or written beyond those named as operands. */
  readonly frame: readonly FrameField[]
  /** Shape of each output; throws a RangeError when the operands do not fit together. */
  readonly shape: (o: Facts, a: AttributeValues) => Readonly<Record<string, Shape>>
  readonly cost: (o: Facts, a: AttributeValues) => Cost
}

const activation: OperandShape = { kind: 'activation' }
const weight: OperandShape = { kind: 'weight' }
const frame: OperandShape = { kind: 'frame' }
const output: OperandShape = { kind: 'output' }
const optional = <T extends OperandShape>(o: T) => ({ ...o, optional: true as const })
const reusing = (operand: string) => ({ ...output, reuses: operand })
const rounding = <T extends OperandShape>(o: T) => ({ ...o, rounded: 'rounding' })

function need(condition: boolean, message: string): void {
  if (!condition) throw new RangeError(message)
}

function needBlocks(width: number, encoding: number | string | undefined): void {
  need(encoding !== 'q8_0' || width % encodedBlock === 0, 'what is rounded is not whole blocks of 32')
}

function needTable({ table }: Facts, a: AttributeValues): void {
  need(!table || table.width <= Number(a['headDim']), 'more rotary dimensions than a head has')
}

const like = (x: OperandFacts | undefined): Shape => ({ domain: x!.domain, width: x!.width })
const perElement =
  (flops: number, streams: number) =>
  (o: Facts): Cost => ({
    flops: flops * (o['x'] ?? o['gate'] ?? o['logits'])!.width,
    bytes: 4 * streams * (o['x'] ?? o['gate'] ?? o['logits'])!.width,
  })

const headAttributes = { heads: 'i32', headDim: 'i32' } as const

export const ops = {
  embedding: {
    id: 1,
    doc: 'out[r] = weight[ids[r]]',
    operands: { ids: frame, weight, out: output },
    attributes: {},
    frame: [],
    shape: (o) => ({ out: { domain: o['ids']!.domain, width: o['weight']!.width } }),
    cost: (o) => ({ flops: 0, bytes: 8 * o['weight']!.width }),
  },
  linear: {
    id: 2,
    doc: 'out = activation(x . weight^T + bias); weight is [out, in]',
    operands: { x: activation, weight, bias: optional(weight), out: output },
    attributes: { activation: activations },
    frame: [],
    shape: (o) => {
      need(
        o['x']!.width === o['weight']!.width,
        `linear: x has ${o['x']!.width} columns, the weight ${o['weight']!.width}`,
      )
      need(!o['bias'] || o['bias'].width === o['weight']!.rows, 'linear: the bias does not fit the weight')
      return { out: { domain: o['x']!.domain, width: o['weight']!.rows } }
    },
    cost: (o) => ({
      flops: 2 * o['weight']!.rows * o['weight']!.width,
      bytes: 4 * (o['x']!.width + o['weight']!.rows),
    }),
  },
  rmsNorm: {
    id: 3,
    doc: 'out = x / sqrt(mean(x^2) + epsilon) * (weight + offset)',
    operands: { x: activation, weight, out: rounding(reusing('x')) },
    attributes: { epsilon: 'f32', offset: 'f32', rounding: roundings },
    defaults: { rounding: 'none' },
    frame: [],
    shape: (o, a) => {
      need(o['x']!.width === o['weight']!.width, 'rmsNorm: the weight does not fit')
      needBlocks(o['x']!.width, a['rounding'])
      return { out: like(o['x']) }
    },
    cost: perElement(4, 2),
  },
  addRmsNorm: {
    id: 4,
    doc: 'sum = x + y; out = rmsNorm(sum)',
    operands: { x: activation, y: activation, weight, sum: reusing('x'), out: rounding(reusing('y')) },
    attributes: { epsilon: 'f32', offset: 'f32', rounding: roundings },
    defaults: { rounding: 'none' },
    frame: [],
    shape: (o, a) => {
      needBlocks(o['x']!.width, a['rounding'])
      need(o['x']!.width === o['y']!.width && o['x']!.width === o['weight']!.width, 'addRmsNorm: widths differ')
      return { sum: like(o['x']), out: like(o['x']) }
    },
    cost: perElement(5, 4),
  },
  ropeTable: {
    id: 5,
    doc: 'cosines then sines of position * frequency, one row a token. Row 0 of frequencies serves sequences whose rope length is at most threshold, row 1 longer ones; dynamicFactor > 0 raises the base with the length instead (NTK)',
    operands: { positions: frame, lengths: frame, frequencies: weight, out: output },
    attributes: { threshold: 'i32', scaleShort: 'f32', scaleLong: 'f32', dynamicFactor: 'f32', base: 'f32' },
    frame: [],
    shape: (o) => ({ out: { domain: o['positions']!.domain, width: 2 * o['frequencies']!.width } }),
    cost: (o) => ({ flops: 40 * o['frequencies']!.width, bytes: 8 * o['frequencies']!.width }),
  },
  rope: {
    id: 6,
    doc: 'rotates the first table.width dimensions of every head; the others pass through',
    operands: { x: activation, table: activation, out: reusing('x') },
    attributes: { ...headAttributes, style: ropeStyles },
    frame: [],
    shape: (o, a) => {
      need(o['x']!.width === Number(a['heads']) * Number(a['headDim']), 'rope: x is not heads * headDim wide')
      need(o['table']!.width <= Number(a['headDim']), 'rope: more rotary dimensions than a head has')
      return { out: like(o['x']) }
    },
    cost: perElement(3, 2),
  },
  writeKv: {
    id: 7,
    doc: 'stores keys and values of this step at their slots of the paged cache of a layer; keys rotated as by rope where there is a table',
    operands: { k: activation, v: activation, table: optional(activation) },
    attributes: { layer: 'i32', kvHeads: 'i32', headDim: 'i32', style: ropeStyles },
    defaults: { style: 'half' },
    frame: ['slots'],
    shape: (o, a) => {
      const width = Number(a['kvHeads']) * Number(a['headDim'])
      needTable(o, a)
      need(o['k']!.width === width && o['v']!.width === width, 'writeKv: k or v is not kvHeads * headDim wide')
      return {}
    },
    cost: (o) => ({ flops: 0, bytes: 16 * o['k']!.width }),
  },
  attention: {
    id: 8,
    doc: 'softmax(scale * q . k) . v over the cached keys at positions [max(0, p - window + 1), p]; window 0 sees all, softcap 0 is off. After scale and cap a score loses slopes[head] * distance (ALiBi) and gains bias[buckets[distance]][head] (relative bias; distances beyond the last count as the last). q is rotated as by rope where there is a table',
    operands: {
      q: activation,
      table: optional(activation),
      slopes: optional(weight),
      bias: optional(weight),
      buckets: optional(weight),
      out: { ...rounding(output), unit: 'headDim' },
    },
    attributes: {
      layer: 'i32',
      ...headAttributes,
      kvHeads: 'i32',
      scale: 'f32',
      window: 'i32',
      softcap: 'f32',
      style: ropeStyles,
      rounding: roundings,
    },
    defaults: { style: 'half', rounding: 'none' },
    frame: ['positions', 'tokenSequences', 'queryStarts', 'contextLengths', 'blockTables'],
    shape: (o, a) => {
      need(o['q']!.width === Number(a['heads']) * Number(a['headDim']), 'attention: q is not heads * headDim wide')
      need(Number(a['heads']) % Number(a['kvHeads']) === 0, 'attention: heads is not a multiple of kvHeads')
      need(!o['slopes'] || o['slopes'].width === Number(a['heads']), 'attention: there is not one slope a head')
      need(!o['bias'] || o['bias'].width === Number(a['heads']), 'attention: there is not one bias a head')
      need(!o['bias'] === !o['buckets'], 'attention: a bias needs buckets, and buckets a bias')
      needTable(o, a)
      needBlocks(a['rounding'] === 'none' ? 0 : Number(a['headDim']), 'q8_0')
      return { out: like(o['q']) }
    },
    cost: (o) => ({ flops: 4 * o['q']!.width, bytes: 8 * o['q']!.width }),
  },
  gatedActivation: {
    id: 9,
    doc: 'out = activation(gate) * up',
    operands: { gate: activation, up: activation, out: output },
    attributes: { activation: activations },
    frame: [],
    shape: (o) => {
      need(o['gate']!.width === o['up']!.width, 'gatedActivation: widths differ')
      return { out: like(o['gate']) }
    },
    cost: perElement(10, 3),
  },
  add: {
    id: 10,
    doc: 'out = x + y',
    operands: { x: activation, y: activation, out: reusing('x') },
    attributes: {},
    frame: [],
    shape: (o) => {
      need(o['x']!.width === o['y']!.width, 'add: widths differ')
      return { out: like(o['x']) }
    },
    cost: perElement(1, 3),
  },
  selectRows: {
    id: 11,
    doc: 'out[s] = x[sampleRows[s]]: from all tokens to the rows whose logits are wanted',
    operands: { x: activation, out: output },
    attributes: {},
    frame: ['sampleRows'],
    shape: (o) => ({ out: { domain: 'samples', width: o['x']!.width } }),
    cost: perElement(0, 2),
  },
  penalize: {
    id: 12,
    doc: 'watermark (green list of the last id), repetition, then frequency penalty over the ids of the history; rows with a target pass',
    operands: { logits: activation, out: reusing('logits') },
    attributes: {},
    frame: [
      'history',
      'sampleHistory',
      'sampleLengths',
      'sampleTargets',
      'repetitionPenalty',
      'frequencyPenalty',
      'watermarkGamma',
      'watermarkDelta',
    ],
    shape: (o) => ({ out: like(o['logits']) }),
    cost: perElement(0, 2),
  },
  maskTokens: {
    id: 13,
    doc: 'logits of tokens that the mask forbids become -infinity; rows with a target or without a mask pass',
    operands: { logits: activation, out: reusing('logits') },
    attributes: {},
    frame: ['masks', 'sampleMasks', 'sampleTargets'],
    shape: (o) => ({ out: like(o['logits']) }),
    cost: perElement(0, 2),
  },
  warp: {
    id: 14,
    doc: 'temperature, top-k, top-p, typical-p, in this order; what is removed becomes -infinity; rows with a target pass',
    operands: { logits: activation, out: reusing('logits') },
    attributes: {},
    frame: ['temperature', 'topK', 'topP', 'typicalP', 'sampleTargets'],
    shape: (o) => ({ out: like(o['logits']) }),
    cost: perElement(4, 2),
  },
  choose: {
    id: 15,
    doc: 'greatest logit (first wins ties), or a draw from softmax by inverse distribution at Philox(seed, length); with its log-probability',
    operands: { logits: activation },
    attributes: {},
    frame: [
      'sampling',
      'sampleSeedLow',
      'sampleSeedHigh',
      'sampleLengths',
      'sampleTargets',
      'chosen',
      'chosenLogprobs',
      'sampleStatus',
    ],
    shape: () => ({}),
    cost: perElement(3, 1),
  },
  topTokens: {
    id: 16,
    doc: 'the n likeliest tokens of a row with log-probabilities, ties with the n-th included up to the limit',
    operands: { logits: activation },
    attributes: {},
    frame: ['topTokens', 'topCounts', 'topIds', 'topLogprobs'],
    shape: () => ({}),
    cost: perElement(3, 1),
  },
  encode: {
    id: 17,
    doc: 'x rounded to what a product takes; only linear and gatedLinear read what is rounded so, here or where it is made (see ops/encoding.ts)',
    operands: { x: activation, out: { ...output, rounded: 'encoding' } },
    attributes: { encoding: encodings },
    frame: [],
    shape: (o, a) => {
      needBlocks(o['x']!.width, a['encoding'])
      return { out: like(o['x']) }
    },
    cost: perElement(3, 1.5),
  },
  gatedLinear: {
    id: 18,
    doc: 'out = activation(x . gate^T) * (x . up^T); the first half of the rows of the weight is gate, the second up',
    operands: { x: activation, weight, out: rounding(output) },
    attributes: { activation: activations, rounding: roundings },
    defaults: { rounding: 'none' },
    frame: [],
    shape: (o, a) => {
      const { width, rows } = o['weight']!
      need(o['x']!.width === width, `gatedLinear: x has ${o['x']!.width} columns, the weight ${width}`)
      need(rows % 2 === 0, 'gatedLinear: the weight is no two halves')
      needBlocks(rows / 2, a['rounding'])
      return { out: { domain: o['x']!.domain, width: rows / 2 } }
    },
    cost: (o) => ({
      flops: 2 * o['weight']!.rows * o['weight']!.width + 10 * (o['weight']!.rows / 2),
      bytes: 4 * (o['x']!.width + o['weight']!.rows / 2),
    }),
  },
} as const satisfies Record<string, OpShape>

export type OpName = keyof typeof ops

/** The entry of an op, seen without its literal types. */
export const opShape = (name: OpName): OpShape => ops[name]

type Attributes<N extends OpName> = (typeof ops)[N]['attributes']
type ValueOf<T> = T extends readonly string[] ? T[number] : number

type Given<N extends OpName> = { readonly [A in keyof Attributes<N>]: ValueOf<Attributes<N>[A]> }
type Defaulted<N extends OpName> = (typeof ops)[N] extends { readonly defaults: infer D }
  ? keyof D & keyof Given<N>
  : never

/** Attribute values that an op takes, typed from the table; those that have a default may be left out. */
export type AttributesOf<N extends OpName> = Omit<Given<N>, Defaulted<N>> & Partial<Pick<Given<N>, Defaulted<N>>>
