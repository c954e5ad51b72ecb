import { type Matrix, rowOf, type Step } from '../reference/operand.ts'
import { massOf } from '../reference/softmax.ts'
import { warp } from '../reference/warp.ts'
import type { Compared, Difference } from './difference.ts'
import { tolerances } from './tolerance.ts'

const removed = Number.NEGATIVE_INFINITY

/** What the reference keeps of row `s` when the masses are a little more or less than asked for. */
function shifted(c: Compared, s: number, by: number): Float32Array {
  const { frame } = c.expectedStep
  const move = (p: ArrayLike<number>) => Float32Array.from(p, (v) => (v < 1 ? Math.min(1, Math.max(0, v + by)) : v))
  const moved = { ...frame, topP: move(frame.topP), typicalP: move(frame.typicalP) }
  const step: Step = { ...c.expectedStep, frame: moved }
  const logits = c.expected['logits'] as Matrix
  const width = logits.width
  const out: Matrix = { data: new Float32Array((s + 1) * width), start: 0, stride: width, width, rows: 0 }
  warp({ logits, out }, {}, step, s, s + 1)
  return rowOf(out, s)
}

/** Tokens whose removal differs must sit on the border: kept at a slightly greater mass, removed at a slightly smaller. */
function onBorder(c: Compared, s: number, differing: readonly number[]): boolean {
  const [least, most] = [shifted(c, s, -tolerances.mass), shifted(c, s, tolerances.mass)]
  return differing.every((id) => least[id] === removed && most[id] !== removed)
}

/** Kept logits must agree in value; what is kept must be the same, but for tokens on the border of a mass. */
export function warpDifference(c: Compared): Difference | undefined {
  for (let row = 0; row < c.rows; row++) {
    const actual = rowOf(c.actual['out'] as Matrix, row)
    const expected = rowOf(c.expected['out'] as Matrix, row)
    if (!massOf(expected)) {
      // What is no distribution must stay none, for `choose` to report; its numbers mean nothing.
      if (!massOf(actual)) continue
      return { output: 'out', row, column: 0, actual: actual[0]!, expected: expected[0]!, allowed: 0 }
    }
    const differing: number[] = []
    for (let column = 0; column < expected.length; column++) {
      const [a, e] = [actual[column]!, expected[column]!]
      if (Object.is(a, e)) continue
      const allowed = tolerances.element * Math.abs(e)
      if ((a === removed) !== (e === removed)) differing.push(column)
      else if (!(Math.abs(a - e) <= allowed)) return { output: 'out', row, column, actual: a, expected: e, allowed }
    }
    if (differing.length > 0 && !onBorder(c, row, differing)) {
      const column = differing[0]!
      return { output: 'out', row, column, actual: actual[column]!, expected: expected[column]!, allowed: 0 }
    }
  }
  return undefined
}
