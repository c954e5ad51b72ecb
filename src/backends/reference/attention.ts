import { assert } from '../../base/assert.ts'
import { blocksPerSequence } from '../../ops/domain.ts'
import type { RopeStyle, Rounding } from '../../ops/table.ts'
import type { KvFormat } from '../../tensor/kv-format.ts'
import { keyIndex, type PagedCache, valueDistance } from './cache.ts'
import { roundRow } from './encode.ts'
import { type Matrix, rowOf, type Step } from './operand.ts'
import { type RotationAttributes, rotateRow } from './rope.ts'
import { nearest, roundTo, toBfloat16, toScaledBytes } from './rounding.ts'

export function writeKv(
  o: { k: Matrix; v: Matrix; table?: Matrix },
  a: { layer: number; kvHeads: number; headDim: number; style: RopeStyle },
  step: Step,
  from: number,
  to: number,
): void {
  const cache = step.caches[a.layer]
  assert(cache, `no cache for layer ${a.layer}`)
  for (let r = from; r < to; r++) {
    const at = keyIndex(cache, step.frame.slots[r]!, 0)
    store(cache, rotated(rowOf(o.k, r), o.table && rowOf(o.table, r), { ...a, heads: a.kvHeads }), at)
    store(cache, rowOf(o.v, r), at + valueDistance(cache))
  }
}

/** A row of heads, rotated where there is a table. */
function rotated(row: Float32Array, table: Float32Array | undefined, a: RotationAttributes): Float32Array {
  if (!table) return row
  const out = row.slice()
  rotateRow(out, table, a)
  return out
}

/** Writes the heads of one token, rounded to what the cache keeps. */
function store(cache: PagedCache, row: Float32Array, at: number): void {
  const kept = cache.data.subarray(at, at + row.length)
  kept.set(row)
  if (cache.format === 'bf16') roundTo('bf16', kept)
  if (cache.format !== 'int8') return
  for (let h = 0; h < cache.kvHeads; h++) toScaledBytes(kept.subarray(h * cache.headDim, (h + 1) * cache.headDim))
}

type AttentionAttributes = {
  layer: number
  heads: number
  headDim: number
  kvHeads: number
  scale: number
  window: number
  softcap: number
  style: RopeStyle
  rounding: Rounding
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

/**
 * Turns scores into probabilities in place. A bf16 cache rounds the weights: exponentials of powers of two, relative to a whole
 * power, so that how they round does not depend on the greatest score.
 */
function softmax(scores: Float64Array, format: KvFormat): void {
  let max = Number.NEGATIVE_INFINITY
  for (const s of scores) max = Math.max(max, s)
  const level = Math.ceil(max * Math.LOG2E)
  let total = 0
  for (let i = 0; i < scores.length; i++) {
    const weight = 2 ** (scores[i]! * Math.LOG2E - level)
    scores[i] = format === 'bf16' ? toBfloat16(weight) : weight
    total += scores[i]!
  }
  for (let i = 0; i < scores.length; i++) scores[i] = scores[i]! / total
}

/** Greatest whole number of a query that meets bytes: its products with them, over a head, stay within 31 bits. */
const integerQuery = (headDim: number): number => Math.min(32767, Math.floor((2 ** 31 - 1) / 127 / (headDim + 1)))

/** A query as a cache of a format multiplies it: rounded as the keys are, or for bytes to 16 bits. */
function roundQuery(q: Float32Array, format: KvFormat): Float32Array {
  if (format === 'f32') return q
  if (format === 'bf16') return q.map(toBfloat16)
  const greatest = q.reduce((max, x) => Math.max(max, Math.abs(x)), 0)
  const limit = integerQuery(q.length)
  const unit = Math.fround(greatest / limit)
  const inverse = unit < 2 ** -126 ? 0 : Math.fround(limit / greatest)
  return q.map((x) => (Number.isFinite(greatest) ? nearest(Math.fround(x * inverse)) * unit : Number.NaN))
}

/** What is added to the score of a key at some distance. */
type Bias = (distance: number) => number

type AttentionOperands = {
  readonly q: Matrix
  readonly table?: Matrix
  readonly slopes?: Matrix
  readonly bias?: Matrix
  readonly buckets?: Matrix
  readonly out: Matrix
}

function biasOf({ slopes, bias, buckets }: AttentionOperands, head: number): Bias {
  const slope = slopes ? rowOf(slopes, 0)[head]! : 0
  if (!bias || !buckets) return (distance) => -slope * distance
  const bucketOf = rowOf(buckets, 0)
  return (distance) => {
    const bucket = bucketOf[Math.min(distance, bucketOf.length - 1)]!
    return rowOf(bias, bucket)[head]! - slope * distance
  }
}

/** One head of one token: sums in double precision, rounded when stored. `keys` end with the token's own. */
function attendHead(
  q: Float32Array,
  cache: PagedCache,
  keys: Int32Array,
  a: AttentionAttributes,
  bias: Bias,
  out: Float32Array,
): void {
  const weights = new Float64Array(keys.length)
  for (let i = 0; i < keys.length; i++) {
    let score = 0
    for (let d = 0; d < q.length; d++) score += q[d]! * cache.data[keys[i]! + d]!
    score *= a.scale
    weights[i] = (a.softcap > 0 ? a.softcap * Math.tanh(score / a.softcap) : score) + bias(keys.length - 1 - i)
  }
  softmax(weights, cache.format)
  const sums = new Float64Array(q.length)
  for (let i = 0; i < keys.length; i++) {
    const v = keys[i]! + valueDistance(cache)
    for (let d = 0; d < q.length; d++) sums[d]! += weights[i]! * cache.data[v + d]!
  }
  out.set(sums)
}

export function attention(o: AttentionOperands, a: AttentionAttributes, step: Step, from: number, to: number): void {
  const cache = step.caches[a.layer]
  assert(cache, `no cache for layer ${a.layer}`)
  const group = a.heads / a.kvHeads
  for (let r = from; r < to; r++) {
    const position = step.frame.positions[r]!
    const first = a.window > 0 ? Math.max(0, position - a.window + 1) : 0
    const slots = slotsOf(step, r, first, position)
    const q = rotated(rowOf(o.q, r), o.table && rowOf(o.table, r), a)
    const out = rowOf(o.out, r)
    for (let h = 0; h < a.heads; h++) {
      const keys = slots.map((slot) => keyIndex(cache, slot, Math.floor(h / group)))
      const [start, end] = [h * a.headDim, (h + 1) * a.headDim]
      attendHead(
        roundQuery(q.subarray(start, end), cache.format),
        cache,
        keys,
        a,
        biasOf(o, h),
        out.subarray(start, end),
      )
    }
    roundRow(out, a.rounding, out)
  }
}
