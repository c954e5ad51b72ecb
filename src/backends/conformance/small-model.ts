import type { Value } from '../../graph/node.ts'
import type { FormatName } from '../../tensor/format.ts'
import type { Bench, Build } from './bench.ts'
import type { Random } from './random.ts'
import type { Row } from './schedule.ts'

export const WIDTH = 96
const HEADS = 3
const KV_HEADS = 1
const HEAD_DIM = 32
export const VOCABULARY = 160

/** A small model of every op of a transformer; `logits` are those of every token. */
export function smallModel({ g, checkpoint, random }: Build, total: number, format: FormatName): void {
  const weight = (name: string, rows: number, columns: number) => {
    checkpoint.add(name, format, rows, columns)
    return g.weight(name, rows, columns)
  }
  const linear = (name: string, x: Value, rows: number) =>
    g.op('linear', name, { x, weight: weight(`${name}.weight`, rows, x.width) }, { activation: 'none' })['out']!
  checkpoint.add('norm', 'f32', 1, WIDTH)
  const norm = (name: string, x: Value) => {
    const inputs = { x, weight: g.weight('norm', 1, WIDTH) }
    return g.op('rmsNorm', name, inputs, { epsilon: 1e-5, offset: 0 })['out']!
  }
  checkpoint.add('table', 'f32', total, WIDTH)
  const ids = g.frame('tokenIds', 'tokens')
  const x = g.op('embedding', 'x', { ids, weight: g.weight('table', total, WIDTH) }, {})['out']!
  const y = g.op('add', 'attended', { x, y: linear('o', attend(g, norm('before', x), linear, random), WIDTH) }, {})
  const h = norm('after', y['out']!)
  const inputs = { gate: linear('gate', h, 64), up: linear('up', h, 64) }
  const gated = g.op('gatedActivation', 'gated', inputs, { activation: 'silu' })['out']!
  const out = g.op('add', 'out', { x: y['out']!, y: linear('down', gated, WIDTH) }, {})['out']!
  const selected = g.op('selectRows', 'selected', { x: norm('final', out) }, {})['out']!
  sample(g, linear('head', selected, VOCABULARY))
}

type Linear = (name: string, x: Value, rows: number) => Value

function attend(g: Build['g'], x: Value, linear: Linear, random: Random): Value {
  const layer = g.cache({ kvHeads: KV_HEADS, headDim: HEAD_DIM })
  const frequencies = g.constant(2, random.normals(HEAD_DIM))
  const inputs = { positions: g.frame('positions', 'tokens'), lengths: g.frame('ropeLengths', 'tokens'), frequencies }
  const scales = { threshold: 40, scaleShort: 1, scaleLong: 1, dynamicFactor: 0, base: 1e4 }
  const table = g.op('ropeTable', 'rope', inputs, scales)['out']!
  const rope = (name: string, value: Value, heads: number) =>
    g.op('rope', name, { x: value, table }, { heads, headDim: HEAD_DIM, style: 'half' })['out']!
  const q = rope('q.rope', linear('q', x, HEADS * HEAD_DIM), HEADS)
  const k = rope('k.rope', linear('k', x, KV_HEADS * HEAD_DIM), KV_HEADS)
  const v = linear('v', x, KV_HEADS * HEAD_DIM)
  g.op('writeKv', 'write', { k, v }, { layer, kvHeads: KV_HEADS, headDim: HEAD_DIM })
  const shape = { layer, heads: HEADS, kvHeads: KV_HEADS, headDim: HEAD_DIM }
  return g.op('attention', 'attention', { q }, { ...shape, scale: 0.05, window: 0, softcap: 0 })['out']!
}

function sample(g: Build['g'], logits: Value): void {
  const penalized = g.op('penalize', 'penalized', { logits }, {})['out']!
  const masked = g.op('maskTokens', 'masked', { logits: penalized }, {})['out']!
  const warped = g.op('warp', 'warped', { logits: masked }, {})['out']!
  g.op('choose', 'choose', { logits: warped }, {})
  g.op('topTokens', 'top', { logits: warped }, {})
}

/** Every token is sampled, with parameters that depend on the token alone. */
export function fillSamples({ frame, limits }: Bench, rows: readonly Row[]): void {
  frame.counts[2] = rows.length
  rows.forEach(({ sequence, position, id }, s) => {
    frame.sampleRows[s] = s
    frame.sampleHistory[s] = sequence
    frame.sampleLengths[s] = position + 1
    frame.history[sequence * limits.context + position] = id % VOCABULARY
    frame.sampleTargets[s] = id % 11 === 0 ? id % VOCABULARY : -1
    frame.sampleSeedLow[s] = id
    frame.sampling[s] = id % 3 === 0 ? 0 : 1
    frame.temperature[s] = id % 2 === 0 ? 1 : 8
    frame.topK[s] = id % 5 === 0 ? 20 : 0
    frame.topP[s] = id % 4 === 0 ? 0.9 : 1
    frame.typicalP[s] = id % 7 === 0 ? 0.8 : 1
    frame.repetitionPenalty[s] = 1.2
    frame.topTokens[s] = 3
  })
}
