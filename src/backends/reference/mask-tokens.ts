import { maskWords } from '../../ops/domain.ts'
import { type Matrix, rowOf, type Step } from './operand.ts'

export function maskTokens(o: { logits: Matrix; out: Matrix }, _a: object, step: Step, from: number, to: number): void {
  const { frame, limits } = step
  for (let s = from; s < to; s++) {
    const out = rowOf(o.out, s)
    out.set(rowOf(o.logits, s))
    if (frame.sampleMasks[s]! < 0 || frame.sampleTargets[s]! >= 0) continue
    const words = frame.masks.subarray(frame.sampleMasks[s]! * maskWords(limits))
    for (let id = 0; id < out.length; id++) {
      const allowed = id < limits.vocabulary && ((words[id >>> 5]! >>> (id & 31)) & 1) === 1
      if (!allowed) out[id] = Number.NEGATIVE_INFINITY
    }
  }
}
