import { type Matrix, rowOf, type Step } from './operand.ts'
import { descendingIds, logProbability, massOf } from './softmax.ts'

/** Ids of the n greatest logits and of whatever equals the n-th, at most `limit`; a removed token is never listed. */
export function topIds(logits: Float32Array, n: number, limit: number): Uint32Array {
  const ids = descendingIds(logits)
  const threshold = logits[ids[Math.min(n, ids.length) - 1]!]!
  let count = 0
  while (count < Math.min(limit, ids.length)) {
    const logit = logits[ids[count]!]!
    if (logit < threshold || logit === Number.NEGATIVE_INFINITY) break
    count++
  }
  return ids.subarray(0, count)
}

export function topTokens(o: { logits: Matrix }, _a: object, step: Step, from: number, to: number): void {
  const { frame, limits } = step
  for (let s = from; s < to; s++) {
    const logits = rowOf(o.logits, s)
    const mass = massOf(logits)
    const wanted = frame.topTokens[s]!
    const ids = mass && wanted > 0 ? topIds(logits, wanted, limits.topTokens) : new Uint32Array()
    frame.topCounts[s] = ids.length
    ids.forEach((id, i) => {
      frame.topIds[s * limits.topTokens + i] = id
      frame.topLogprobs[s * limits.topTokens + i] = logProbability(logits[id]!, mass!)
    })
  }
}
