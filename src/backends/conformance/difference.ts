import type { Instruction } from '../../graph/program.ts'
import { encodedBlock } from '../../ops/encoding.ts'
import type { Frame } from '../../ops/frame.ts'
import type { Activation, OpName, Rounding } from '../../ops/table.ts'
import { activationFunctions } from '../reference/activation.ts'
import { drawId } from '../reference/choose.ts'
import { gateAndUp } from '../reference/linear.ts'
import { type Matrix, type Operands, rowOf, type Step } from '../reference/operand.ts'
import { uniform } from '../reference/philox.ts'
import { logProbability, massOf } from '../reference/softmax.ts'
import { linearSlack, tolerances } from './tolerance.ts'
import { warpDifference } from './warp-difference.ts'

/** The results of one instruction, a backend's and the reference's, from the same inputs. */
export interface Compared {
  readonly instruction: Instruction
  /** Inputs, and the outputs of the backend under test. */
  readonly actual: Operands
  /** The same inputs, and the outputs of the reference. */
  readonly expected: Operands
  /** The step with the backend's output fields, and with the reference's. */
  readonly actualStep: Step
  readonly expectedStep: Step
  readonly rows: number
}

/** Where two results part, further than the op's tolerance. */
export interface Difference {
  readonly output: string
  readonly row: number
  readonly column: number
  readonly actual: number
  readonly expected: number
  readonly allowed: number
}

type Compare = (c: Compared) => Difference | undefined
/** How far element (row, column) may be off. */
type Allowed = (row: number, column: number, expected: number) => number

/** Equal, both not a number, or no further apart than allowed. */
export const agrees = (actual: number, expected: number, allowed: number): boolean =>
  Object.is(actual, expected) || actual === expected || Math.abs(actual - expected) <= allowed

/** Compares an output element by element; `allowedIn` sees each expected row once. */
function byElement(c: Compared, output: string, allowedIn: (row: number, expected: Float32Array) => Allowed) {
  for (let row = 0; row < c.rows; row++) {
    const actual = rowOf(c.actual[output] as Matrix, row)
    const expected = rowOf(c.expected[output] as Matrix, row)
    const allowed = allowedIn(row, expected)
    for (let column = 0; column < expected.length; column++) {
      const slack = allowed(row, column, expected[column]!)
      if (agrees(actual[column]!, expected[column]!, slack)) continue
      return { output, row, column, actual: actual[column]!, expected: expected[column]!, allowed: slack }
    }
  }
  return undefined
}

const exact =
  (output: string): Compare =>
  (c) =>
    byElement(c, output, () => () => 0)

/** Greatest finite magnitude of a row. */
const magnitude = (row: Float32Array): number =>
  row.reduce((max, x) => (Number.isFinite(x) ? Math.max(max, Math.abs(x)) : max), 0)

/** Within `share` of the greatest element of the row. */
const nearRow =
  (output: string, share: number): Compare =>
  (c) =>
    byElement(c, output, (_, expected) => {
      const allowed = share * magnitude(expected) + tolerances.vanishing
      return () => allowed
    })

/** As `nearRow`, of a row that is rounded as it is made: what was near a border may have fallen on its other side. */
const nearRounded =
  (output: string, share: number): Compare =>
  (c) =>
    byElement(c, output, (_, expected) => {
      const allowed = share * magnitude(expected) + tolerances.vanishing
      const step = stepOf(c.instruction.attributes['rounding'] as Rounding, expected)
      return (_, column) => allowed + step(column)
    })

/** Of the greatest number of a block: scales may be rounded up, by half at most. */
const leastMultiples = 127 / 1.5

/** How far apart the numbers are that a rounded row can hold. */
function stepOf(rounding: Rounding, row: Float32Array): (column: number) => number {
  if (rounding === 'none') return () => 0
  if (rounding === 'bf16') return (column) => Math.abs(row[column]!) * 2 ** -7
  return (column) => {
    const begin = column - (column % encodedBlock)
    return magnitude(row.subarray(begin, begin + encodedBlock)) / leastMultiples
  }
}

/** Within a few roundings of the logit before and after; what is subtracted may leave little. */
const penalize: Compare = (c) =>
  byElement(c, 'out', (row) => {
    const before = rowOf(c.expected['logits'] as Matrix, row)
    return (_, column, expected) => {
      const size = Math.abs(before[column]!) + Math.abs(expected)
      return Number.isFinite(size) ? tolerances.element * size : 0
    }
  })

const linear: Compare = (c) => {
  const slack = linearSlack(c.expected['x'] as Matrix, c.expected['weight'] as Matrix)
  return byElement(c, 'out', (row) => {
    const ofRow = slack(row)
    return (_, column, expected) => ofRow(column) + tolerances.element * Math.abs(expected) + tolerances.vanishing
  })
}

/** The greatest slope of an activation, and some more. */
const steepest = 1.2

/** Each of the two products may be off as one alone, and what they make of it as a gatedActivation. */
const gatedLinear: Compare = (c) => {
  const [x, weight] = [c.expected['x'] as Matrix, c.expected['weight'] as Matrix]
  const both = gateAndUp({ x, weight }, c.expectedStep, 0, c.rows)
  const slack = linearSlack(x, weight)
  const f = activationFunctions[c.instruction.attributes['activation'] as Activation]
  return byElement(c, 'out', (row, expected) => {
    const [ofRow, values] = [slack(row), rowOf(both, row)]
    const most = tolerances.activation * magnitude(expected) + tolerances.vanishing
    const step = stepOf(c.instruction.attributes['rounding'] as Rounding, expected)
    return (_, column) => {
      const other = column + expected.length
      const [gate, up] = [values[column]!, values[other]!]
      return steepest * ofRow(column) * Math.abs(up) + Math.abs(f(gate)) * ofRow(other) + most + step(column)
    }
  })
}

/** The same multiples; only what is too small for a normal float32 may be zero. */
const encode: Compare = (c) => byElement(c, 'out', () => () => tolerances.vanishing)

const addRmsNorm: Compare = (c) => exact('sum')(c) ?? nearRounded('out', tolerances.norm)(c)

/** A difference in an output field of the frame; its row is the sampled row. */
const inField = (
  output: string,
  row: number,
  actual: number,
  expected: number,
  column = 0,
  allowed = 0,
): Difference => ({
  output,
  row,
  column,
  actual,
  expected,
  allowed,
})

/** Another id is as good when the draw fell on the border between two, as near as rounding can tell. */
function drawnNearBorder(logits: Float32Array, frame: Frame, s: number, id: number): boolean {
  const mass = massOf(logits)
  if (!mass || frame.sampling[s] === 0 || frame.sampleTargets[s]! >= 0) return false
  const u = uniform(frame.sampleSeedLow[s]!, frame.sampleSeedHigh[s]!, frame.sampleLengths[s]!)
  const low = drawId(logits, mass, Math.max(0, u - tolerances.mass))
  const high = drawId(logits, mass, Math.min(1, u + tolerances.mass))
  return low <= id && id <= high && Math.exp(logits[id]! - mass.max) > 0
}

function chooseRow(logits: Float32Array, a: Frame, e: Frame, s: number): Difference | undefined {
  if (a.sampleStatus[s] !== e.sampleStatus[s]) return inField('sampleStatus', s, a.sampleStatus[s]!, e.sampleStatus[s]!)
  const mass = massOf(logits)
  if (!mass) return undefined
  const id = a.chosen[s]!
  if (id !== e.chosen[s] && !drawnNearBorder(logits, e, s, id)) return inField('chosen', s, id, e.chosen[s]!)
  const expected = logProbability(logits[id]!, mass)
  const allowed = Number.isFinite(expected) ? tolerances.logprob * (1 + Math.abs(expected)) : 0
  const actual = a.chosenLogprobs[s]!
  return agrees(actual, expected, allowed) ? undefined : inField('chosenLogprobs', s, actual, expected, 0, allowed)
}

const choose: Compare = (c) => {
  for (let s = 0; s < c.rows; s++) {
    const d = chooseRow(rowOf(c.actual['logits'] as Matrix, s), c.actualStep.frame, c.expectedStep.frame, s)
    if (d) return d
  }
  return undefined
}

const topTokens: Compare = (c) => {
  const [a, e] = [c.actualStep.frame, c.expectedStep.frame]
  for (let s = 0; s < c.rows; s++) {
    if (a.topCounts[s] !== e.topCounts[s]) return inField('topCounts', s, a.topCounts[s]!, e.topCounts[s]!)
    for (let i = 0; i < e.topCounts[s]!; i++) {
      const at = s * e.limits.topTokens + i
      if (a.topIds[at] !== e.topIds[at]) return inField('topIds', s, a.topIds[at]!, e.topIds[at]!, i)
      const expected = e.topLogprobs[at]!
      const allowed = tolerances.logprob * (1 + Math.abs(expected))
      if (!agrees(a.topLogprobs[at]!, expected, allowed)) {
        return inField('topLogprobs', s, a.topLogprobs[at]!, expected, i, allowed)
      }
    }
  }
  return undefined
}

const attention: Compare = (c) => {
  const cache = c.expectedStep.caches[c.instruction.attributes['layer'] as number]!
  return nearRounded('out', tolerances.attention[cache.format])(c)
}

/** The rule of every op; what has no output of its own is seen through the op that reads what it wrote. */
const rules: Readonly<Record<OpName, Compare>> = {
  embedding: exact('out'),
  linear,
  rmsNorm: nearRounded('out', tolerances.norm),
  addRmsNorm,
  ropeTable: nearRow('out', tolerances.trigonometry),
  rope: nearRow('out', tolerances.element),
  writeKv: () => undefined,
  attention,
  gatedActivation: nearRow('out', tolerances.activation),
  add: exact('out'),
  selectRows: exact('out'),
  penalize,
  maskTokens: exact('out'),
  warp: warpDifference,
  choose,
  topTokens,
  encode,
  gatedLinear,
}

/** The first place where the two results differ by more than the op's tolerance. */
export const firstDifference: Compare = (c) => rules[c.instruction.op](c)
