import { fail } from '../base/errors.ts'
import type { Graph } from '../graph/graph.ts'
import type { Value } from '../graph/node.ts'
import type { RopeStyle } from '../ops/table.ts'
import type { ConfigReader } from './config.ts'

/** A row of `[inverse frequencies]` each for short and long sequences, and when which holds. See the op `ropeTable`. */
export interface RopeConfig {
  readonly rotaryDim: number
  readonly style: RopeStyle
  readonly base: number
  readonly short: readonly number[]
  readonly long: readonly number[]
  /** Longest rope length that still uses `short` (or the unscaled base, when dynamic). */
  readonly threshold: number
  readonly scaleShort: number
  readonly scaleLong: number
  /** 0 unless the base grows with the length (NTK). */
  readonly dynamicFactor: number
}

const never = 0x7fffffff

/** What a scaling kind changes; everything else stays plain. */
type Scaling = Partial<Pick<RopeConfig, 'short' | 'long' | 'threshold' | 'scaleShort' | 'scaleLong' | 'dynamicFactor'>>

interface Basis {
  readonly inverse: readonly number[]
  readonly rotaryDim: number
  readonly base: number
  readonly maxPositions: number
}

/**
 * Rope of a config.json: `rope_theta` with `rope_scaling`, or the newer `rope_parameters`.
 * Formulas: the rope initialisers of Hugging Face transformers, which the published weights were made with.
 */
export function readRope(config: ConfigReader, headDim: number): RopeConfig {
  const parameters = config.object('rope_parameters')
  const scaling = parameters ?? config.object('rope_scaling')
  const base = parameters?.has('rope_theta') ? parameters.number('rope_theta') : config.number('rope_theta', 10000)
  const partial = (parameters ?? config).number('partial_rotary_factor', config.number('partial_rotary_factor', 1))
  const rotaryDim = Math.floor(headDim * partial)
  const inverse = Array.from({ length: rotaryDim / 2 }, (_, i) => base ** ((-2 * i) / rotaryDim))
  const basis = { inverse, rotaryDim, base, maxPositions: config.size('max_position_embeddings', 2048) }
  const plain = { short: inverse, long: inverse, threshold: never, scaleShort: 1, scaleLong: 1, dynamicFactor: 0 }
  const style = config.flag('rope_interleaved', false) ? 'interleaved' : 'half'
  return { rotaryDim, style, base, ...plain, ...(scaling && scaled(scaling, basis, config)) }
}

function scaled(s: ConfigReader, basis: Basis, config: ConfigReader): Scaling {
  const kind = s.has('rope_type') ? s.text('rope_type') : s.text('type', 'default')
  switch (kind) {
    case 'default':
    case 'mrope':
      return {}
    case 'linear':
      return { short: basis.inverse.map((f) => f / s.number('factor')) }
    case 'dynamic':
      return {
        threshold: s.size('original_max_position_embeddings', basis.maxPositions),
        dynamicFactor: s.number('factor'),
      }
    case 'llama3':
      return llama3(s, basis, originalPositions(s, basis, config))
    case 'yarn':
      return yarn(s, basis, originalPositions(s, basis, config))
    case 'su':
    case 'longrope':
      return longrope(s, basis, originalPositions(s, basis, config))
    case 'factors':
      return { short: s.numbers('factors').map((factor, i) => basis.inverse[i]! / factor) }
    default:
      return fail('model.config', { reason: `rope scaling ${kind} is not supported` })
  }
}

/** Length the model was first trained for; at the top level (Phi-3) it wins over the one beside the scaling. */
function originalPositions(s: ConfigReader, basis: Basis, config: ConfigReader): number {
  const key = 'original_max_position_embeddings'
  return config.has(key) ? config.size(key) : s.size(key, basis.maxPositions)
}

function llama3(s: ConfigReader, { inverse }: Basis, original: number): Scaling {
  const factor = s.number('factor')
  const low = s.number('low_freq_factor')
  const high = s.number('high_freq_factor')
  const short = inverse.map((f) => {
    const wavelength = (2 * Math.PI) / f
    if (wavelength < original / high) return f
    if (wavelength > original / low) return f / factor
    const smooth = (original / wavelength - low) / (high - low)
    return ((1 - smooth) * f) / factor + smooth * f
  })
  return { short }
}

function yarn(s: ConfigReader, { inverse, rotaryDim, base }: Basis, original: number): Scaling {
  const factor = s.number('factor')
  const correction = (rotations: number) =>
    (rotaryDim * Math.log(original / (rotations * 2 * Math.PI))) / (2 * Math.log(base))
  const round = s.flag('truncate', true)
  const lowest = correction(s.number('beta_fast', 32))
  const highest = correction(s.number('beta_slow', 1))
  const from = Math.max(round ? Math.floor(lowest) : lowest, 0)
  const to = Math.min(round ? Math.ceil(highest) : highest, rotaryDim - 1)
  const ramp = (i: number) => Math.min(Math.max((i - from) / (from === to ? 0.001 : to - from), 0), 1)
  const short = inverse.map((f, i) => (f / factor) * ramp(i) + f * (1 - ramp(i)))
  return { short, scaleShort: yarnScale(s, factor) }
}

function yarnScale(s: ConfigReader, factor: number): number {
  if (s.has('attention_factor')) return s.number('attention_factor')
  const scale = (m: number) => (factor <= 1 ? 1 : 0.1 * m * Math.log(factor) + 1)
  const both =
    s.has('mscale') && s.has('mscale_all_dim') && s.number('mscale') !== 0 && s.number('mscale_all_dim') !== 0
  return both ? scale(s.number('mscale')) / scale(s.number('mscale_all_dim')) : scale(1)
}

function longrope(s: ConfigReader, { inverse, rotaryDim, maxPositions }: Basis, original: number): Scaling {
  const divided = (key: string) => {
    const factors = s.numbers(key)
    if (factors.length !== rotaryDim / 2)
      fail('model.config', { reason: `${key} has ${factors.length} entries, expected ${rotaryDim / 2}` })
    return inverse.map((f, i) => f / factors[i]!)
  }
  const factor = s.number('factor', maxPositions / original)
  const scale = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original))
  const attention = s.number('attention_factor', scale)
  return {
    short: divided('short_factor'),
    long: divided('long_factor'),
    threshold: original,
    scaleShort: s.number('short_mscale', attention),
    scaleLong: s.number('long_mscale', attention),
  }
}

/** Cosines and sines of every token's position: one op a step, read by every layer. */
export function ropeTable(g: Graph, c: RopeConfig): Value {
  const frequencies = g.constant(2, Float32Array.from([...c.short, ...c.long]))
  const inputs = { positions: g.frame('positions', 'tokens'), lengths: g.frame('ropeLengths', 'tokens'), frequencies }
  const { threshold, scaleShort, scaleLong, dynamicFactor, base } = c
  return g.op('ropeTable', 'rope', inputs, { threshold, scaleShort, scaleLong, dynamicFactor, base })['out']!
}
