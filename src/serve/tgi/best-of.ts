import type { Generation } from '../../library/types.ts'

export interface BestOf {
  readonly winner: Generation
  /** The rest, in the order they were started. */
  readonly others: readonly Generation[]
}

/** Of independent generations the one with the highest mean log-probability wins, the first of equals. */
export function bestOf(generations: readonly Generation[]): BestOf {
  const scores = generations.map(meanLogprob)
  const best = scores.indexOf(Math.max(...scores))
  return { winner: generations[best]!, others: generations.filter((_, index) => index !== best) }
}

function meanLogprob({ tokens }: Generation): number {
  const sum = tokens.reduce((total, { logprob }) => total + (logprob ?? Number.NEGATIVE_INFINITY), 0)
  return tokens.length === 0 || Number.isNaN(sum) ? Number.NEGATIVE_INFINITY : sum / tokens.length
}
