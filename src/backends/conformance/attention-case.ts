import assert from 'node:assert/strict'
import type { Value } from '../../graph/node.ts'
import { type AttributesOf, type RopeStyle, ropeStyles } from '../../ops/table.ts'
import type { KvFormat } from '../../tensor/kv-format.ts'
import { rotateRow } from '../reference/rope.ts'
import { type Build, openBench } from './bench.ts'
import { type Case, input } from './case.ts'
import type { Random } from './random.ts'
import { blocksFor, fillStep, makeWorld, mixed } from './schedule.ts'

/** Contexts in which a backend may part the keys of a row among threads. */
const LONG = 600

type Shape = AttributesOf<'attention'>

interface Tables {
  readonly q: Float32Array
  readonly k: Float32Array
  readonly v: Float32Array
  /** A slope a head. */
  readonly slopes?: Float32Array
  /** A row of biases, one a head, for each bucket, and the bucket of each distance. */
  readonly bias?: Float32Array
  readonly buckets?: Float32Array
}

type Inputs = Parameters<Build['g']['op']>[2]

/** Rotary positions: how fast each pair of dimensions turns, and which dimensions are pairs. */
interface Rotation {
  readonly frequencies: Float32Array
  readonly style: RopeStyle
}

function rotationOf(random: Random, headDim: number): Rotation | undefined {
  if (headDim < 2 || random.chance(0.5)) return undefined
  const pairs = random.pick([headDim >> 1, random.int(1, headDim >> 1)])
  return { frequencies: Float32Array.from({ length: pairs }, (_, i) => 0.9 / (i + 1)), style: random.pick(ropeStyles) }
}

/** Rows of heads, turned as far as each token's position says: each sequence from 0 on. */
function rotate(rows: Float32Array, lengths: readonly number[], headDim: number, r: Rotation): Float32Array {
  const out = rows.slice()
  const positions = lengths.flatMap((length) => Array.from({ length }, (_, position) => position))
  const heads = rows.length / positions.length / headDim
  for (const [token, position] of positions.entries()) {
    const table = Float32Array.from([
      ...r.frequencies.map((f) => Math.cos(Math.fround(f * position))),
      ...r.frequencies.map((f) => Math.sin(Math.fround(f * position))),
    ])
    const row = out.subarray(token * heads * headDim, (token + 1) * heads * headDim)
    rotateRow(row, table, { heads, headDim, style: r.style })
  }
  return out
}

/** q and k behind a `rope` each, which the planner makes a part of what reads them. */
function rotated(g: Build['g'], q: Value, k: Value, shape: Shape, { frequencies, style }: Rotation): [Value, Value] {
  const inputs: Inputs = {
    positions: g.frame('positions', 'tokens'),
    lengths: g.frame('ropeLengths', 'tokens'),
    frequencies: g.constant(1, frequencies),
  }
  const scales = { threshold: LONG, scaleShort: 1, scaleLong: 1, dynamicFactor: 0, base: 1 }
  const table = g.op('ropeTable', 'table', inputs, scales)['out']!
  const rope = (name: string, x: Value, heads: number) =>
    g.op('rope', name, { x, table }, { heads, headDim: shape.headDim, style })['out']!
  return [rope('q.rope', q, shape.heads), rope('k.rope', k, shape.kvHeads)]
}

/** What is added to the score of a key so far away. */
function biasAt({ slopes, bias, buckets }: Tables, heads: number, head: number, distance: number): number {
  const sloped = slopes ? -slopes[head]! * distance : 0
  return bias && buckets ? bias[buckets[Math.min(distance, buckets.length - 1)]! * heads + head]! + sloped : sloped
}

function shapeOf(random: Random): Shape {
  const headDim = random.pick([1, 3, 8, 16, 20, 31, 32, 64, 65, 80, 96, 128, 256])
  const kvHeads = random.pick([1, 1, 2, 3])
  const heads = kvHeads * random.pick([1, 1, 2, 3, 4, 7])
  const scale = random.pick([1, 1, 0.3, 4]) / Math.sqrt(headDim)
  const window = random.pick([0, 0, 1, 5, 16, 33])
  const softcap = random.pick([0, 0, 0, 30, 1])
  return { layer: 0, heads, kvHeads, headDim, scale, window, softcap }
}

/** Attention of one token and head by its definition, over tables of all keys and values: no blocks, no steps. */
function attend(t: Tables, a: Shape, first: number, position: number, head: number): Float64Array {
  const kvWidth = a.kvHeads * a.headDim
  const kvStart = Math.floor((head * a.kvHeads) / a.heads) * a.headDim
  const qStart = ((first + position) * a.heads + head) * a.headDim
  const from = a.window > 0 ? Math.max(0, position + 1 - a.window) : 0
  const out = new Float64Array(a.headDim)
  let total = 0
  for (let p = from; p <= position; p++) {
    const at = (first + p) * kvWidth + kvStart
    let score = 0
    for (let d = 0; d < a.headDim; d++) score += t.q[qStart + d]! * t.k[at + d]!
    score *= a.scale
    // Scores of these cases stay far from where an exponential overflows in double precision.
    const capped = a.softcap > 0 ? a.softcap * Math.tanh(score / a.softcap) : score
    const weight = Math.exp(capped + biasAt(t, a.heads, head, position - p))
    total += weight
    for (let d = 0; d < a.headDim; d++) out[d]! += weight * t.v[at + d]!
  }
  return out.map((x) => x / total)
}

/** How far the definition may be off: float32 sums over a few hundred keys, or keys and values rounded; in bf16 queries and weights too. */
const definition: Readonly<Record<KvFormat, number>> = { f32: 4e-4, bf16: 0.12, int8: 0.12 }

function checkDefinition(t: Tables, a: Shape, first: number, position: number, row: Float32Array, slack: number): void {
  for (let head = 0; head < a.heads; head++) {
    const expected = attend(t, a, first, position, head)
    expected.forEach((e, d) => {
      const got = row[head * a.headDim + d]!
      assert.ok(Math.abs(got - e) <= slack, `attention at ${position}, head ${head}[${d}]: ${got}, not ${e}`)
    })
  }
}

/** ALiBi, a relative bias, both or none. */
function biasTables(random: Random, heads: number): Pick<Tables, 'slopes' | 'bias' | 'buckets'> {
  const count = random.int(1, 12)
  const buckets = Float32Array.from({ length: random.int(1, 100) }, () => random.int(0, count - 1))
  return {
    ...(random.chance(0.3) && { slopes: Float32Array.from({ length: heads }, (_, h) => 2 ** (-h - 1)) }),
    ...(random.chance(0.3) && { bias: random.normals(count * heads), buckets }),
  }
}

/**
 * Ragged batches over several steps: the cache of earlier steps matters, blocks are shuffled, and whatever was never
 * written is not a number. Checked op by op, and against the definition over the whole sequences.
 */
export const attentionCase: Case = {
  name: 'writeKv and attention over ragged steps',
  ops: ['writeKv', 'attention'],
  async run(backend, random) {
    const shape = shapeOf(random)
    const kv = random.pick<KvFormat>(['f32', 'bf16', 'int8'])
    const long = random.chance(0.3)
    const lengths = long
      ? [random.int(LONG / 2, LONG), random.int(1, 20)]
      : Array.from({ length: random.int(1, 5) }, () => random.pick([1, 2, 15, 16, 17, random.int(1, 90)]))
    const total = lengths.reduce((a, b) => a + b, 0)
    const { blockSize } = backend.traits
    const [qWidth, kvWidth] = [shape.heads * shape.headDim, shape.kvHeads * shape.headDim]
    const tables: Tables = {
      q: random.normals(total * qWidth),
      k: random.normals(total * kvWidth),
      v: random.normals(total * kvWidth),
      ...biasTables(random, shape.heads),
    }
    const rotation = rotationOf(random, shape.headDim)
    // A product that has the result rounded; it is then seen through the reference only.
    const reader = random.pick([undefined, undefined, 'bf16', shape.headDim % 32 === 0 ? 'q8_0' : 'bf16'] as const)
    const rounded = reader && shape.headDim % 32 === 0
    const blocks = blocksFor(lengths, blockSize) + 2
    const bench = await openBench(backend, random, {
      limits: { tokens: total, sequences: lengths.length, context: LONG, blocks },
      kv,
      build: (b) => {
        const { kvHeads, headDim } = shape
        const unused = b.g.cache({ kvHeads: 1, headDim: 4 })
        const layer = b.g.cache({ kvHeads, headDim })
        assert.equal(layer, unused + 1)
        const v = input(b, 'v', kvWidth, tables.v)
        const given: [Value, Value] = [input(b, 'q', qWidth, tables.q), input(b, 'k', kvWidth, tables.k)]
        const [q, k] = rotation ? rotated(b.g, ...given, shape, rotation) : given
        b.g.op('writeKv', 'write', { k, v }, { layer, kvHeads, headDim })
        const { slopes, bias, buckets } = tables
        const inputs = {
          q,
          slopes: slopes && b.g.constant(1, slopes),
          bias: bias && b.g.constant(bias.length / shape.heads, bias),
          buckets: buckets && b.g.constant(1, buckets),
        }
        const x = b.g.op('attention', 'attention', inputs, { ...shape, layer })['out']!
        if (!reader) return
        b.checkpoint.add('o', reader, 40, qWidth)
        b.g.op('linear', 'o', { x, weight: b.g.weight('o', 40, qWidth) }, { activation: 'none' })
      },
    })
    const turned = (rows: Float32Array) => (rotation ? rotate(rows, lengths, shape.headDim, rotation) : rows)
    const seen = { ...tables, q: turned(tables.q), k: turned(tables.k) }
    bench.poisonCache()
    const world = makeWorld(random, lengths, bench.limits)
    for (const step of mixed(random, lengths, random.pick(long ? [total, 200] : [total, 20, 64]))) {
      const rows = fillStep(bench.frame, bench.limits, world, step)
      await bench.run()
      if (rounded) continue
      rows.forEach(({ sequence, position }, r) => {
        checkDefinition(seen, shape, world.firstIds[sequence]!, position, bench.row('attention', r), definition[kv])
      })
    }
  },
}
