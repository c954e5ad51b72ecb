import assert from 'node:assert/strict'
import type { Value } from '../../graph/node.ts'
import type { FormatName } from '../../tensor/format.ts'
import type { Backend } from '../contract.ts'
import { type Bench, type Build, openBench } from './bench.ts'
import { Random } from './random.ts'
import { alone, blocksFor, fillStep, makeWorld, mixed, type Row, type Schedule, type World } from './schedule.ts'

const WIDTH = 96
const HEADS = 3
const KV_HEADS = 1
const HEAD_DIM = 32
const VOCABULARY = 160
const lengths = [70, 1, 33, 16, 9]

/** A small model of every op of a transformer; `logits` are those of every token. */
function smallModel({ g, checkpoint, random }: Build, total: number, format: FormatName): void {
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
function fillSamples({ frame, limits }: Bench, rows: readonly Row[]): void {
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

/** What a token came to: its hidden state and logits bit by bit where they can be read, and what was sampled. */
type Outcome = readonly number[]

function outcomeOf({ frame, limits, row }: Bench, s: number, readable: boolean): Outcome {
  const bits = (values: Float32Array) => [...new Uint32Array(values.slice().buffer)]
  const top = s * limits.topTokens
  return [
    frame.chosen[s]!,
    frame.sampleStatus[s]!,
    ...bits(Float32Array.of(frame.chosenLogprobs[s]!)),
    ...frame.topIds.subarray(top, top + frame.topCounts[s]!),
    ...bits(Float32Array.from(frame.topLogprobs.subarray(top, top + frame.topCounts[s]!))),
    ...(readable ? [...bits(row('selected', s)), ...bits(row('head', s))] : []),
  ]
}

/** Computes the world by a schedule, from an empty cache; returns the outcomes by token id. */
async function outcomes(bench: Bench, world: World, schedule: Schedule, readable: boolean): Promise<Outcome[]> {
  const found: Outcome[] = []
  for (const step of schedule) {
    const rows = fillStep(bench.frame, bench.limits, world, step)
    fillSamples(bench, rows)
    await bench.run()
    rows.forEach(({ id }, s) => {
      found[id] = outcomeOf(bench, s, readable)
    })
  }
  return found
}

function assertSame(actual: readonly Outcome[], expected: readonly Outcome[], how: string, world: World): void {
  expected.forEach((outcome, id) => {
    const sequence = world.firstIds.findLastIndex((first) => first <= id)
    const where = `${how}: sequence ${sequence}, position ${id - world.firstIds[sequence]!}`
    assert.deepEqual(actual[id], outcome, `other bytes, ${where}`)
  })
}

/**
 * Runs the small model over the same tokens in many ways; every token must come out with the same bits.
 * Returns the outcomes, so that they can be compared across thread counts too.
 */
export async function sameBytes(backend: Backend, seed: number, format: FormatName): Promise<readonly Outcome[]> {
  const total = lengths.reduce((a, b) => a + b, 0)
  const blocks = blocksFor(lengths, backend.traits.blockSize) + 3
  const limits = { tokens: total, samples: total, sequences: lengths.length, context: 80, blocks }
  const open = (reuse: boolean) =>
    openBench(backend, new Random(seed), {
      limits: { ...limits, vocabulary: VOCABULARY, topTokens: 4 },
      reuse,
      build: (b) => smallModel(b, total, format),
    })
  const random = new Random(seed + 1)
  const apart = await open(false)
  const world = makeWorld(random, lengths, apart.limits)
  const expected = await outcomes(apart, world, alone(lengths, total), true)
  const schedules: [string, Schedule][] = [
    ...[1, 7, 64].map((size): [string, Schedule] => [`alone, in chunks of ${size}`, alone(lengths, size)]),
    ['all at once', [lengths.map((count, sequence) => ({ sequence, start: 0, count }))]],
    ['mixed steps', mixed(random, lengths, 40)],
    ['mixed steps, other blocks', mixed(random, lengths, total)],
  ]
  for (const [how, schedule] of schedules) {
    apart.poisonCache()
    const blocksOf = how.endsWith('blocks') ? makeWorld(random, lengths, apart.limits) : world
    assertSame(await outcomes(apart, blocksOf, schedule, true), expected, how, world)
  }
  const sampled = expected.map((o) => o.slice(0, -(WIDTH + VOCABULARY)))
  const shared = await open(true)
  assertSame(await outcomes(shared, world, mixed(random, lengths, 50), false), sampled, 'memory reused', world)
  return expected
}
