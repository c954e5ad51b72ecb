import type { Limits } from '../../ops/domain.ts'
import type { Frame } from '../../ops/frame.ts'
import { openBench } from './bench.ts'
import { type Case, input } from './case.ts'
import type { Random } from './random.ts'

const infinity = Number.POSITIVE_INFINITY

/** Rows of logits as models make them, and as they never should. */
const rowKinds: readonly ((random: Random, i: number) => number)[] = [
  (r) => r.normal(3),
  (r) => r.normal(3),
  (r) => r.normal(0.1),
  (r) => Math.round(r.normal(2)),
  () => 0,
  (r) => (r.chance(0.8) ? -infinity : r.normal()),
  (r) => r.normal(1e4),
  (r) => (r.chance(0.2) ? r.normal(1e37) : r.normal()),
  (r, i) => (i === 0 ? 50 : r.normal()),
  (r) => -40 + r.normal(20),
]

const brokenKinds: readonly ((random: Random, i: number) => number)[] = [
  (r) => (r.chance(0.3) ? Number.NaN : r.normal()),
  (_, i) => (i === 0 ? Number.NaN : 1),
  (r, i) => (i === 0 ? infinity : r.normal()),
  () => -infinity,
]

function logitsOf(random: Random, rows: number, width: number): Float32Array {
  const data = new Float32Array(rows * width)
  for (let r = 0; r < rows; r++) {
    const kind = random.pick(random.chance(0.1) ? brokenKinds : rowKinds)
    const peak = random.int(0, width - 1)
    for (let i = 0; i < width; i++) data[r * width + i] = kind(random, (i + width - peak) % width)
  }
  return data
}

/** Parameters of one sampled row: each processor is off half of the time. */
function fillRow(frame: Frame, limits: Limits, s: number, random: Random): void {
  const some = <T>(off: T, on: () => T): T => (random.chance(0.5) ? off : on())
  const { vocabulary, context } = limits
  frame.sampleRows[s] = s
  frame.sampleHistory[s] = random.int(0, limits.sequences - 1)
  frame.sampleLengths[s] = random.int(1, context)
  frame.sampleTargets[s] = random.chance(0.1) ? random.int(0, vocabulary - 1) : -1
  frame.sampleSeedLow[s] = random.int(0, 0xffffffff)
  frame.sampleSeedHigh[s] = random.int(0, 0xffffffff)
  frame.sampling[s] = random.int(0, 1)
  frame.temperature[s] = some(1, () => random.pick([0.05, 0.7, 1.3, 5]))
  frame.topK[s] = some(0, () => random.pick([1, 2, 5, 50, vocabulary, vocabulary + 1]))
  frame.topP[s] = some(1, () => random.pick([1e-6, 0.1, 0.5, 0.9, 0.999, random.next()]))
  frame.typicalP[s] = some(1, () => random.pick([1e-6, 0.2, 0.5, 0.95, random.next()]))
  frame.repetitionPenalty[s] = some(1, () => random.pick([0.5, 1.1, 2]))
  frame.frequencyPenalty[s] = some(0, () => random.pick([-2, 0.3, 2]))
  frame.watermarkGamma[s] = random.pick([0.25, 0.5, 1])
  frame.watermarkDelta[s] = some(0, () => random.pick([2, 10, -1]))
  frame.sampleMasks[s] = some(-1, () => random.int(0, limits.masks - 1))
  frame.topTokens[s] = some(0, () => random.int(1, limits.topTokens))
}

function fillTables(frame: Frame, limits: Limits, random: Random): void {
  for (let i = 0; i < frame.history.length; i++) {
    // Few different ids, so that they repeat.
    frame.history[i] = random.int(0, Math.min(limits.vocabulary, 12) - 1)
  }
  for (let i = 0; i < frame.masks.length; i++) frame.masks[i] = random.int(0, 0xffffffff)
}

/** The whole chain, every op of it compared on the backend's own inputs. */
export const samplingCase: Case = {
  name: 'penalize, maskTokens, warp, choose, topTokens',
  ops: ['penalize', 'maskTokens', 'warp', 'choose', 'topTokens'],
  async run(backend, random) {
    const rows = random.int(1, 12)
    const vocabulary = random.pick([1, 2, 5, 31, 32, 33, 64, 257, 1000, random.int(1, 3000)])
    const topTokens = random.int(1, 6)
    const bench = await openBench(backend, random, {
      limits: { tokens: rows, samples: rows, sequences: rows, context: 24, vocabulary, topTokens, masks: 3 },
      build: (b) => {
        const hidden = input(b, 'hidden', vocabulary, logitsOf(random, rows, vocabulary))
        const raw = b.g.op('selectRows', 'logits', { x: hidden }, {})['out']!
        const penalized = b.g.op('penalize', 'penalized', { logits: raw }, {})['out']!
        const masked = b.g.op('maskTokens', 'masked', { logits: penalized }, {})['out']!
        const warped = b.g.op('warp', 'warped', { logits: masked }, {})['out']!
        b.g.op('choose', 'choose', { logits: warped }, {})
        b.g.op('topTokens', 'top', { logits: random.pick([raw, warped]) }, {})
      },
    })
    const { frame, limits } = bench
    fillTables(frame, limits, random)
    frame.counts.set([rows, rows, rows])
    for (let s = 0; s < rows; s++) {
      frame.tokenIds[s] = s
      fillRow(frame, limits, s, random)
    }
    await bench.run()
  },
}
