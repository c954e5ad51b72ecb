import { assert } from '../../base/assert.ts'
import { blocksPerSequence } from '../../ops/domain.ts'
import { keyIndex, type PagedCache, valueDistance } from './cache.ts'
import { type Matrix, rowOf, type Step } from './operand.ts'

export function writeKv(
  o: { k: Matrix; v: Matrix },
  a: { layer: number; kvHeads: number; headDim: number },
  step: Step,
  from: number,
  to: number,
): void {
  const cache = step.caches[a.layer]
  assert(cache, `no cache for layer ${a.layer}`)
  for (let r = from; r < to; r++) {
    const at = keyIndex(cache, step.frame.slots[r]!, 0)
    cache.data.set(rowOf(o.k, r), at)
    cache.data.set(rowOf(o.v, r), at + valueDistance(cache))
  }
}

type AttentionAttributes = {
  layer: number
  heads: number
  headDim: number
  kvHeads: number
  scale: number
  window: number
  softcap: number
}

/** Slots of positions `[first, last]` of a token's sequence, through its block table. */
function slotsOf(step: Step, token: number, first: number, last: number): Int32Array {
  const { frame, limits } = step
  const table = frame.tokenSequences[token]! * blocksPerSequence(limits)
  return Int32Array.from({ length: last - first + 1 }, (_, i) => {
    const block = frame.blockTables[table + Math.floor((first + i) / limits.blockSize)]!
    return block * limits.blockSize + ((first + i) % limits.blockSize)
  })
}

/** Turns scores into probabilities in place. */
function softmax(scores: Float64Array): void {
  let max = Number.NEGATIVE_INFINITY
  for (const s of scores) max = Math.max(max, s)
  let total = 0
  for (let i = 0; i < scores.length; i++) {
    scores[i] = Math.exp(scores[i]! - max)
    total += scores[i]!
  }
  for (let i = 0; i < scores.length; i++) scores[i] = scores[i]! / total
}

/** One head of one token: everything in double precision, rounded when stored. */
function attendHead(q: Float32Array, cache: PagedCache, keys: Int32Array, a: AttentionAttributes, out: Float32Array) {
  const weights = new Float64Array(keys.length)
  for (let i = 0; i < keys.length; i++) {
    let score = 0
    for (let d = 0; d < q.length; d++) score += q[d]! * cache.data[keys[i]! + d]!
    score *= a.scale
    weights[i] = a.softcap > 0 ? a.softcap * Math.tanh(score / a.softcap) : score
  }
  softmax(weights)
  const sums = new Float64Array(q.length)
  for (let i = 0; i < keys.length; i++) {
    const v = keys[i]! + valueDistance(cache)
    for (let d = 0; d < q.length; d++) sums[d]! += weights[i]! * cache.data[v + d]!
  }
  out.set(sums)
}

export function attention(
  o: { q: Matrix; out: Matrix },
  a: AttentionAttributes,
  step: Step,
  from: number,
  to: number,
): void {
  const cache = step.caches[a.layer]
  assert(cache, `no cache for layer ${a.layer}`)
  const group = a.heads / a.kvHeads
  for (let r = from; r < to; r++) {
    const position = step.frame.positions[r]!
    const first = a.window > 0 ? Math.max(0, position - a.window + 1) : 0
    const slots = slotsOf(step, r, first, position)
    const q = rowOf(o.q, r)
    const out = rowOf(o.out, r)
    for (let h = 0; h < a.heads; h++) {
      const keys = slots.map((slot) => keyIndex(cache, slot, Math.floor(h / group)))
      const [start, end] = [h * a.headDim, (h + 1) * a.headDim]
      attendHead(q.subarray(start, end), cache, keys, a, out.subarray(start, end))
    }
  }
}
