import assert from 'node:assert/strict'
import type { Value } from '../../graph/node.ts'
import { activations, ropeStyles } from '../../ops/table.ts'
import { type Build, openBench } from './bench.ts'
import { type Case, input, normalInput, rowCounts, runRows } from './case.ts'
import type { Random } from './random.ts'

const widths = (random: Random): number =>
  random.pick([1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 65, 100, 576, random.int(1, 1200)])

/** Sizes that activations of real models reach, and a spread of them in one row. */
const deviations = (random: Random): number => random.pick([1, 1, 1e-4, 30, 1e4])

const norms: Case = {
  name: 'rmsNorm and addRmsNorm',
  ops: ['rmsNorm', 'addRmsNorm'],
  async run(backend, random) {
    const [tokens, width] = [rowCounts(random), widths(random)]
    const attributes = { epsilon: random.pick([1e-5, 1e-6, 0.5]), offset: random.pick([0, 1]) }
    const bench = await openBench(backend, random, {
      limits: { tokens },
      build: (b) => {
        b.checkpoint.add('weight', random.pick(['f32', 'f16', 'bf16']), 1, width)
        const weight = b.g.weight('weight', 1, width)
        const deviation = deviations(random)
        const x = normalInput(b, 'x', width, deviation)
        const y = normalInput(b, 'y', width, deviation)
        b.g.op('rmsNorm', 'norm', { x, weight }, attributes)
        b.g.op('addRmsNorm', 'sum', { x, y, weight }, attributes)
      },
    })
    await runRows(bench, tokens)
  },
}

const readers = ['bf16', 'q8_0', 'q4_0', 'f32'] as const
const gatedWidth = 64

/** A value of every op that rounds rows which may be compared here; attention has a case of its own. */
function roundable(b: Build, name: string, x: Value, y: Value): Value[] {
  const { g } = b
  const norm = (n: string, input: Value) => {
    const inputs = { x: input, weight: g.weight('weight', 1, x.width) }
    return g.op('rmsNorm', `${name}.${n}`, inputs, { epsilon: 1e-5, offset: 0 })['out']!
  }
  const sum = g.op('add', `${name}.sum`, { x, y }, {})['out']!
  const weight = g.weight('gate', 2 * gatedWidth, x.width)
  const gated = g.op('gatedLinear', `${name}.gated`, { x, weight }, { activation: 'silu' })['out']!
  return [norm('norm', x), norm('normOfSum', sum), gated]
}

/** What only products read is rounded as it is made; with another reader an `encode` rounds it. The same bits both ways. */
const rounded: Case = {
  name: 'results that are rounded as they are made',
  ops: ['rmsNorm', 'addRmsNorm', 'gatedLinear', 'encode', 'linear'],
  async run(backend, random) {
    const [tokens, width] = [rowCounts(random), 32 * random.pick([1, 2, 3, 4, 5, 7, 18])]
    const bench = await openBench(backend, random, {
      limits: { tokens },
      build: (b) => {
        b.checkpoint.add('weight', 'f32', 1, width)
        b.checkpoint.add('gate', 'f32', 2 * gatedWidth, width)
        const [x, y] = [normalInput(b, 'x', width, deviations(random)), normalInput(b, 'y', width)]
        for (const format of readers) {
          b.checkpoint.add(format, format, 48, width)
          b.checkpoint.add(`${format}.gated`, format, 48, gatedWidth)
          for (const also of [false, true]) {
            roundable(b, `${format}.${also}`, x, y).forEach((value, i) => {
              const name = i === 2 ? `${format}.gated` : format
              const inputs = { x: value, weight: b.g.weight(name, 48, value.width) }
              b.g.op('linear', `${format}.${also}.${i}`, inputs, { activation: 'none' })
              if (also) b.g.op('add', `${format}.also${i}`, { x: value, y: value }, {})
            })
          }
        }
      },
    })
    await runRows(bench, tokens)
    for (const name of readers.flatMap((format) => [0, 1, 2].map((i) => (also: boolean) => `${format}.${also}.${i}`))) {
      for (let r = 0; r < tokens; r++) assert.deepEqual(bench.row(name(false), r), bench.row(name(true), r))
    }
  },
}

const ropes: Case = {
  name: 'ropeTable and rope',
  ops: ['ropeTable', 'rope'],
  async run(backend, random) {
    const tokens = rowCounts(random)
    const [heads, pairs] = [random.int(1, 5), random.pick([2, 3, 4, 8, 16, 17, 32, 64])]
    const headDim = 2 * pairs + random.pick([0, 0, 1, 2, 16])
    const base = random.pick([1e4, 5e5])
    const threshold = random.pick([1, 100, 4096, 0x7fffffff])
    const bench = await openBench(backend, random, {
      limits: { tokens, context: 131072 },
      build: (b) => {
        const short = Float32Array.from({ length: pairs }, (_, i) => base ** (-i / pairs))
        const long = short.map((f) => f / random.int(1, 8))
        const inputs = {
          positions: b.g.frame('positions', 'tokens'),
          lengths: b.g.frame('ropeLengths', 'tokens'),
          frequencies: b.g.constant(2, Float32Array.from([...short, ...long])),
        }
        const scales = { scaleShort: random.pick([1, 1.19]), scaleLong: random.pick([1, 1.3]) }
        const attributes = { threshold, ...scales, dynamicFactor: random.pick([0, 2, 4.5]), base }
        const table = b.g.op('ropeTable', 'table', inputs, attributes)['out']!
        const x = normalInput(b, 'x', heads * headDim)
        for (const style of ropeStyles) b.g.op('rope', style, { x, table }, { heads, headDim, style })
      },
    })
    for (let r = 0; r < tokens; r++) {
      bench.frame.positions[r] = random.pick([0, 1, random.int(0, 300), random.int(0, 131071)])
      bench.frame.ropeLengths[r] = bench.frame.positions[r]! + random.pick([1, 1, 500])
    }
    await runRows(bench, tokens)
  },
}

/** Values where non-linearities bend, saturate or would overflow an exponential. */
const bends = [0, -0, 1e-30, -1e-6, 0.5, -0.5, 3, -3, 6, -6, 20, -20, 88, -88, 100, -100, 1e4, -1e4]

const elementwise: Case = {
  name: 'add, gatedActivation, selectRows',
  ops: ['add', 'gatedActivation', 'selectRows'],
  async run(backend, random) {
    const [tokens, width, samples] = [rowCounts(random), widths(random), random.int(1, 9)]
    const bench = await openBench(backend, random, {
      limits: { tokens, samples },
      build: (b) => {
        const gates = random.normals(tokens * width, 3)
        for (let i = 0; i < gates.length; i += 3) gates[i] = random.pick(bends)
        const gate = input(b, 'gate', width, gates)
        const up = normalInput(b, 'up', width)
        b.g.op('add', 'added', { x: gate, y: up }, {})
        b.g.op('selectRows', 'selected', { x: up }, {})
        for (const activation of activations) b.g.op('gatedActivation', activation, { gate, up }, { activation })
      },
    })
    bench.frame.counts[2] = random.int(0, samples)
    for (let s = 0; s < samples; s++) bench.frame.sampleRows[s] = random.int(0, tokens - 1)
    await runRows(bench, tokens)
  },
}

export const rowCases: readonly Case[] = [norms, rounded, ropes, elementwise]
