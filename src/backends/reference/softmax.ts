/** Of a row of logits: the greatest, and the sum of exp(logit - greatest) in ascending id order, in double precision. */
export interface Mass {
  readonly max: number
  readonly total: number
}

/** Undefined when the row is no distribution: a NaN, a +infinity, or nothing but -infinity. */
export function massOf(logits: Float32Array): Mass | undefined {
  let max = Number.NEGATIVE_INFINITY
  for (const l of logits) {
    if (Number.isNaN(l)) return undefined
    if (l > max) max = l
  }
  if (!Number.isFinite(max)) return undefined
  let total = 0
  for (const l of logits) total += Math.exp(l - max)
  return { max, total }
}

export const logProbability = (logit: number, m: Mass): number => logit - m.max - Math.log(m.total)

/** Ids from the likeliest down, equal logits by ascending id. */
export function descendingIds(logits: Float32Array): Uint32Array {
  return Uint32Array.from(logits, (_, i) => i).sort((a, b) => {
    const [la, lb] = [logits[a]!, logits[b]!]
    return la === lb ? a - b : lb > la ? 1 : -1
  })
}
