import type { Limits } from '../ops/domain.ts'
import { leastChunk, type Pace } from './pace.ts'
import type { Sequence } from './sequence.ts'

/** Rows of logits that `count` more tokens of a sequence give. */
export function samplesOf(sequence: Sequence, count: number): number {
  if (sequence.scoring) return count
  return count > 0 && count === sequence.remaining ? 1 : 0
}

type Budget = Pick<Limits, 'tokens' | 'samples'>

/**
 * Divides a step's tokens among running sequences, in order: one for each that lacks only one; then half of what is left
 * for the first that lacks more, so that it never waits; the other half to those who are soonest done, so that a short
 * prompt does not wait for a long one. What they leave goes to the first again. Where somebody lacks only one token, the
 * others get what `pace` allows beside them, and as many times that as more sequences (`waiting` are not running yet)
 * wait for their first token than for their next one: nobody's wait counts more than another's.
 *
 * Writes the share of `running[i]` to `shares[i]`.
 */
export function divide(
  running: readonly Sequence[],
  shares: Int32Array,
  budget: Budget,
  waiting: number,
  pace: Pace,
): void {
  const single = running.filter((s) => s.remaining === 1)
  for (let i = 0; i < running.length; i++) shares[i] = running[i].remaining === 1 ? 1 : 0
  const longer = [...running.keys()].filter((i) => shares[i] === 0)
  if (longer.length === 0) return
  const pressure = Math.max(1, (longer.length + waiting) / single.length)
  const units = single.length > 0 ? pressure * pace.allowance(pace.plain(single)) : Number.POSITIVE_INFINITY
  const rest = { tokens: budget.tokens - single.length, samples: budget.samples - single.length, units }
  shareOut(running, shares, longer, rest, pace)
}

function shareOut(
  running: readonly Sequence[],
  shares: Int32Array,
  longer: readonly number[],
  rest: { tokens: number; samples: number; units: number },
  pace: Pace,
): void {
  const give = (i: number, tokens: number) => {
    const s = running[i]
    const had = shares[i]
    rest.samples += samplesOf(s, had)
    // Without a row left, a chunk stops one short of the end; scored tokens are rows each.
    const bound = s.scoring ? rest.samples : rest.samples > 0 ? s.remaining : s.remaining - 1
    shares[i] = Math.max(had, Math.min(had + tokens, s.remaining, bound))
    rest.tokens -= shares[i] - had
    rest.samples -= samplesOf(s, shares[i])
    if (shares[i] > had) rest.units -= pace.cost(s.computed, shares[i] - had)
  }
  const affordable = (i: number, units: number) => pace.affordable(running[i].computed, units)
  const [first] = longer
  const part = longer.length > 1 ? 2 : 1
  give(first, Math.min(Math.ceil(rest.tokens / part), Math.max(leastChunk, affordable(first, rest.units / part))))
  for (const i of longer.toSorted((a, b) => running[a].remaining - running[b].remaining)) {
    give(i, Math.min(rest.tokens, affordable(i, rest.units)))
  }
  give(first, Math.min(rest.tokens, affordable(first, rest.units)))
}
