import type { Frame } from '../../ops/frame.ts'
import { greenList } from '../../ops/green-list.ts'
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

function watermarkRow(logits: Float32Array, { frame, limits }: Step, s: number): void {
  const length = frame.sampleLengths[s]!
  const delta = frame.watermarkDelta[s]!
  if (delta === 0 || length === 0) return
  const previous = frame.history[frame.sampleHistory[s]! * limits.context + length - 1]!
  for (const id of greenList(previous, logits.length, frame.watermarkGamma[s]!)) logits[id] = logits[id]! + delta
}

export function penalize(o: { logits: Matrix; out: Matrix }, _a: object, step: Step, from: number, to: number): void {
  const { frame } = step
  for (let s = from; s < to; s++) {
    const out = rowOf(o.out, s)
    out.set(rowOf(o.logits, s))
    if (frame.sampleTargets[s]! >= 0) continue
    watermarkRow(out, step, s)
    const off = frame.repetitionPenalty[s] === 1 && frame.frequencyPenalty[s] === 0
    if (!off) penalizeRow(out, countsOf(step, s), frame, s)
  }
}
