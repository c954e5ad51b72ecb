import type { Frame } from '../../ops/frame.ts'
import { type Matrix, rowOf, type Step } from './operand.ts'

/** How often each id occurs in the history of sampled row `s`. */
function countsOf(step: Step, s: number): ReadonlyMap<number, number> {
  const { frame, limits } = step
  const start = frame.sampleHistory[s]! * limits.context
  const counts = new Map<number, number>()
  for (const id of frame.history.subarray(start, start + frame.sampleLengths[s]!)) {
    counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  return counts
}

function penalizeRow(logits: Float32Array, counts: ReadonlyMap<number, number>, frame: Frame, s: number): void {
  const repetition = frame.repetitionPenalty[s]!
  const frequency = frame.frequencyPenalty[s]!
  const length = frame.sampleLengths[s]!
  for (const [id, count] of counts) {
    if (id < 0 || id >= logits.length) continue
    const l = logits[id]!
    // Rounded between the two, as two passes over float32 logits would.
    const repeated = Math.fround(l < 0 ? l * repetition : l / repetition)
    logits[id] = repeated - (frequency * count) / length
  }
}

export function penalize(o: { logits: Matrix; out: Matrix }, _a: object, step: Step, from: number, to: number): void {
  const { frame } = step
  for (let s = from; s < to; s++) {
    const out = rowOf(o.out, s)
    out.set(rowOf(o.logits, s))
    const off = frame.repetitionPenalty[s] === 1 && frame.frequencyPenalty[s] === 0
    if (!off && frame.sampleTargets[s]! < 0) penalizeRow(out, countsOf(step, s), frame, s)
  }
}
