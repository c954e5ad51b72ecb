import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Limits } from '../../ops/domain.ts'
import { createFrame, type Frame } from '../../ops/frame.ts'
import type { OpName } from '../../ops/table.ts'
import { activationFunctions, erf } from './activation.ts'
import { type PagedCache, pagedCaches } from './cache.ts'
import { type Attributes, matrixOf, type Operands } from './operand.ts'
import { referenceOps } from './ops.ts'

const limits: Limits = {
  tokens: 8,
  sequences: 4,
  samples: 4,
  context: 8,
  blocks: 4,
  blockSize: 2,
  vocabulary: 40,
  topTokens: 4,
  masks: 2,
}
const inf = Number.POSITIVE_INFINITY
const matrix = (...rows: number[][]) => matrixOf(Float32Array.from(rows.flat()), rows[0]!.length)
const blank = (rows: number, width: number) => matrixOf(new Float32Array(rows * width), width)

/** A frame whose sampling parameters are all off. */
function neutralFrame(): Frame {
  const frame = createFrame(limits)
  for (const f of ['temperature', 'topP', 'typicalP', 'repetitionPenalty'] as const) frame[f].fill(1)
  for (const f of ['sampleTargets', 'sampleMasks'] as const) frame[f].fill(-1)
  return frame
}

interface Setting {
  readonly frame?: Frame
  readonly caches?: readonly PagedCache[]
  readonly attributes?: Attributes
  readonly rows?: number
}

function apply(op: OpName, operands: Operands, { frame = neutralFrame(), caches = [], ...s }: Setting = {}): void {
  referenceOps[op](operands, s.attributes ?? {}, { frame, limits, caches }, 0, s.rows ?? 1)
}

function close(actual: ArrayLike<number>, expected: readonly number[], tolerance = 1e-6): void {
  assert.equal(actual.length, expected.length)
  expected.forEach((e, i) => {
    const fits = actual[i] === e || Math.abs(actual[i]! - e) <= tolerance
    assert.ok(fits, `[${i}]: ${actual[i]} where ${e} was expected`)
  })
}

/** Runs a logits-to-logits op on one row. */
function processed(op: OpName, row: number[], set: (f: Frame) => void): Float32Array {
  const frame = neutralFrame()
  set(frame)
  const out = blank(1, row.length)
  apply(op, { logits: matrix(row), out }, { frame })
  return out.data
}

test('embedding looks rows up, selectRows picks them, add adds them', () => {
  const frame = neutralFrame()
  frame.sampleRows.set([1, 0])
  const table = matrix([1, 2], [3, 4], [5, 6])
  const x = blank(2, 2)
  apply('embedding', { ids: Int32Array.of(2, 0), weight: table, out: x }, { rows: 2 })
  close(x.data, [5, 6, 1, 2])
  const selected = blank(2, 2)
  apply('selectRows', { x, out: selected }, { rows: 2, frame })
  close(selected.data, [1, 2, 5, 6])
  apply('add', { x, y: selected, out: x }, { rows: 2 })
  close(x.data, [6, 8, 6, 8])
})

test('linear multiplies by the transposed weight, adds the bias, applies the activation, on a view', () => {
  const wide = matrix([9, 1, 2, 9], [9, 3, -4, 9])
  const x = { ...wide, start: 1, width: 2 }
  const out = blank(2, 3)
  const weight = matrix([1, 0], [0, 1], [2, -1])
  apply('linear', { x, weight, bias: matrix([0, 0.5, -1]), out }, { rows: 2, attributes: { activation: 'relu' } })
  close(out.data, [1, 2.5, 0, 3, 0, 9])
})

test('rmsNorm and addRmsNorm by hand', () => {
  const attributes = { epsilon: 0.5, offset: 1 }
  const out = blank(1, 2)
  // mean square of (1, 2) is 2.5; with epsilon 3.
  apply('rmsNorm', { x: matrix([1, 2]), weight: matrix([0, 1]), out }, { attributes })
  close(out.data, [1 / Math.sqrt(3), 4 / Math.sqrt(3)])
  const sum = blank(1, 2)
  apply('addRmsNorm', { x: matrix([0, 3]), y: matrix([1, -1]), weight: matrix([0, 1]), sum, out }, { attributes })
  close(sum.data, [1, 2])
  close(out.data, [1 / Math.sqrt(3), 4 / Math.sqrt(3)])
})

test('the activations at known points', () => {
  // erf from the tables of Abramowitz and Stegun, 7.1.
  close([erf(0), erf(0.5), erf(1), erf(2), erf(-1)], [0, 0.5204998778, 0.8427007929, 0.995322265, -0.8427007929], 1e-10)
  const at = (x: number) => Object.entries(activationFunctions).map(([, f]) => f(x))
  close(at(1), [1, 1, 0.8413447461, 0.8411919906, 0.8457957659, 0.7310585786], 1e-9)
  close(at(-2).slice(1, 3), [0, -0.0455002639], 1e-9)
  const out = blank(1, 2)
  apply('gatedActivation', { gate: matrix([1, 0]), up: matrix([2, 5]), out }, { attributes: { activation: 'silu' } })
  close(out.data, [2 * 0.7310585786, 0])
})

test('ropeTable: short, long and dynamic frequencies', () => {
  const base = 100
  const attributes = { threshold: 4, scaleShort: 1, scaleLong: 2, dynamicFactor: 0, base }
  const positions = Int32Array.of(3, 3)
  const lengths = Int32Array.of(4, 5)
  const out = blank(2, 4)
  const operands = { positions, lengths, frequencies: matrix([1, 0.1], [0.5, 0.05]), out }
  apply('ropeTable', operands, { rows: 2, attributes })
  const short = [Math.cos(3), Math.cos(0.3), Math.sin(3), Math.sin(0.3)]
  close(out.data.subarray(0, 4), short)
  close(
    out.data.subarray(4),
    [Math.cos(1.5), Math.cos(0.15), Math.sin(1.5), Math.sin(0.15)].map((v) => 2 * v),
  )
  const dynamic = { ...attributes, scaleLong: 1, dynamicFactor: 2 }
  apply('ropeTable', { ...operands, frequencies: matrix([1, 0.1]) }, { rows: 2, attributes: dynamic })
  close(out.data.subarray(0, 4), short)
  // base' = 100 * (2 * 5 / 4 - 1) ^ (4 / 2) = 225, so the second frequency is 225 ^ -0.5 = 1/15.
  close(out.data.subarray(4), [Math.cos(3), Math.cos(0.2), Math.sin(3), Math.sin(0.2)])
})

test('rope rotates halves or neighbours of every head and passes the rest', () => {
  const quarter = matrix([0, 0, 1, 1])
  const x = [1, 2, 3, 4, 5, 10, 20, 30, 40, 50]
  const out = blank(1, 10)
  const attributes = { heads: 2, headDim: 5 }
  apply('rope', { x: matrix(x), table: quarter, out }, { attributes: { ...attributes, style: 'half' } })
  close(out.data, [-3, -4, 1, 2, 5, -30, -40, 10, 20, 50])
  apply('rope', { x: matrix(x), table: quarter, out }, { attributes: { ...attributes, style: 'interleaved' } })
  close(out.data, [-2, 1, -4, 3, 5, -20, 10, -40, 30, 50])
})

/** Keys and values 0..3 of one sequence in blocks 2 and 0, so that a wrong table shows. */
function filledCache(): { frame: Frame; caches: PagedCache[] } {
  const frame = neutralFrame()
  const layer = { kvHeads: 1, headDim: 1 }
  const caches = pagedCaches(new ArrayBuffer(limits.blocks * 4 * 4), [{ ...layer, format: 'f32' }], limits)
  frame.blockTables.set([2, 0])
  frame.slots.set([4, 5, 0, 1])
  const attributes = { layer: 0, ...layer }
  const operands = { k: matrix([0], [1], [2], [3]), v: matrix([10], [20], [30], [40]) }
  apply('writeKv', operands, { frame, caches, attributes, rows: 4 })
  return { frame, caches }
}

const attended = (q: number[], position: number, attributes: Attributes): number[] => {
  const { frame, caches } = filledCache()
  frame.positions[0] = position
  const out = blank(1, q.length)
  const all = { layer: 0, heads: q.length, headDim: 1, kvHeads: 1, scale: 1, window: 0, softcap: 0, ...attributes }
  apply('attention', { q: matrix(q), out }, { frame, caches, attributes: all })
  return [...out.data]
}

test('attention sees the keys up to its position, its window only, and caps scores', () => {
  close(attended([0], 3, {}), [25])
  close(attended([0], 1, {}), [15])
  close(attended([0], 3, { window: 2 }), [35])
  // Scores ln 3 * (0, 1): weights 1/4 and 3/4; the second head of the group has scores twice that: 1/10 and 9/10.
  close(attended([1, 2], 1, { scale: Math.log(3) }), [17.5, 19], 1e-5)
  // A cap of 1 turns the score 100 into tanh(100) = 1.
  close(attended([100], 1, { softcap: 1 }), [(10 + 20 * Math.E) / (1 + Math.E)], 1e-5)
})

test('penalize: once per distinct id, then by share of the history', () => {
  const history = (f: Frame) => {
    f.history.set([0, 1, 1, 3])
    f.sampleLengths[0] = 4
  }
  const row = [2, -2, 5, 0]
  const repetition = processed('penalize', row, (f) => {
    history(f)
    f.repetitionPenalty[0] = 2
  })
  close(repetition, [1, -4, 5, 0])
  const frequency = processed('penalize', row, (f) => {
    history(f)
    f.frequencyPenalty[0] = 2
  })
  close(frequency, [1.5, -3, 5, -0.5])
  const target = processed('penalize', row, (f) => {
    history(f)
    f.repetitionPenalty[0] = 2
    f.sampleTargets[0] = 1
  })
  close(target, row)
})

test('maskTokens removes what the bitset lacks, past the first word too', () => {
  const row = Array.from({ length: 40 }, (_, i) => i)
  const out = processed('maskTokens', row, (f) => {
    f.sampleMasks[0] = 1
    f.masks.set([0b101, 0x80], 2)
  })
  assert.deepEqual(
    [...out].flatMap((l, i) => (l === -inf ? [] : [i])),
    [0, 2, 39],
  )
})

const ln = (...masses: number[]) => masses.map(Math.log)
const keptBy = (row: number[], set: (f: Frame) => void): number[] =>
  [...processed('warp', row, set)].flatMap((l, i) => (l === -inf ? [] : [i]))

test('warp: temperature divides; top-k keeps ties', () => {
  close(
    processed('warp', [1, -2], (f) => f.temperature.fill(0.5)),
    [2, -4],
  )
  const k = (n: number) => keptBy([1, 3, 3, 2, 0], (f) => f.topK.fill(n))
  assert.deepEqual(
    [k(0), k(1), k(3), k(9)],
    [
      [0, 1, 2, 3, 4],
      [1, 2],
      [1, 2, 3],
      [0, 1, 2, 3, 4],
    ],
  )
})

test('warp: top-p removes cumulative mass up to 1 - p, keeps the likeliest, drops earlier ids of equals first', () => {
  const p = (row: number[], share: number) => keptBy(row, (f) => f.topP.fill(share))
  assert.deepEqual(p(ln(0.1, 0.4, 0.3, 0.2), 0.75), [1, 2, 3])
  assert.deepEqual(p(ln(0.1, 0.4, 0.3, 0.2), 0.65), [1, 2])
  assert.deepEqual(p(ln(0.1, 0.4, 0.3, 0.2), 0.001), [1])
  // Exactly 1 - p is removed too.
  assert.deepEqual(p([0, 0, 0, 0], 0.5), [2, 3])
  assert.deepEqual(p([0, 0, 0, 0], 0.01), [3])
})

test('warp: typical-p keeps what is nearest the entropy, with the token that crosses the mass', () => {
  const m = (share: number) => keptBy(ln(0.5, 0.3, 0.2), (f) => f.typicalP.fill(share))
  // Entropy 1.0297; distances 0.3365, 0.1743, 0.5798: ids in the order 1, 0, 2.
  assert.deepEqual([m(0.2), m(0.4), m(0.9), m(1)], [[1], [0, 1], [0, 1, 2], [0, 1, 2]])
})

function chosen(row: number[], set: (f: Frame) => void = () => {}) {
  const frame = neutralFrame()
  set(frame)
  apply('choose', { logits: matrix(row) }, { frame })
  return { id: frame.chosen[0]!, logprob: frame.chosenLogprobs[0]!, status: frame.sampleStatus[0]! }
}

test('choose: the first greatest, a scored target, and a refusal of what is no distribution', () => {
  const greedy = chosen([...ln(0.25, 0.375, 0.375), -inf])
  assert.equal(greedy.id, 1)
  close([greedy.logprob], ln(0.375))
  const scored = chosen(ln(0.25, 0.75), (f) => f.sampleTargets.fill(0))
  assert.equal(scored.id, 0)
  close([scored.logprob], ln(0.25))
  for (const bad of [
    [1, Number.NaN],
    [1, inf],
    [-inf, -inf],
  ])
    assert.equal(chosen(bad).status, 1)
  assert.equal(chosen([-inf, 3]).status, 0)
})

test('choose: draws follow the distribution, and the draw at length 0 of seed 0 is where the known answer says', () => {
  // u = 0x6627e8d5 / 2^32 and a bit = 0.39904: past 0.3, within 0.3 + 0.2.
  assert.equal(chosen(ln(0.3, 0.2, 0.5), (f) => f.sampling.fill(1)).id, 1)
  const counts = [0, 0, 0]
  for (let length = 0; length < 5000; length++) {
    const { id } = chosen(ln(0.3, 0.2, 0.5), (f) => {
      f.sampling.fill(1)
      f.sampleLengths.fill(length)
      f.sampleSeedLow.fill(42)
    })
    counts[id]!++
  }
  close(
    counts.map((c) => c / 5000),
    [0.3, 0.2, 0.5],
    0.03,
  )
})

test('topTokens: ties with the n-th are listed, up to the limit; removed tokens never', () => {
  const list = (row: number[], n: number) => {
    const frame = neutralFrame()
    frame.topTokens[0] = n
    apply('topTokens', { logits: matrix(row) }, { frame })
    return [...frame.topIds.subarray(0, frame.topCounts[0])]
  }
  const row = [-1, -3, -4, -2, -3]
  assert.deepEqual([list(row, 0), list(row, 2), list(row, 3), list(row, 4)], [[], [0, 3], [0, 3, 1, 4], [0, 3, 1, 4]])
  assert.deepEqual(list([0, 0, 0, 0, 0, 0], 1), [0, 1, 2, 3])
  assert.deepEqual(list([-inf, 1, -inf], 3), [1])
})
