import type { Limits } from '../ops/domain.ts'
import type { Sequence } from './sequence.ts'

/** Rows of logits that `count` more tokens of a sequence give. */
export function samplesOf(sequence: Sequence, count: number): number {
  if (sequence.scoring) return count
  return count > 0 && count === sequence.remaining ? 1 : 0
}

/**
 * Divides a step's tokens among running sequences, in order of rank: one for each that lacks only one; then half of
 * what is left for the first that lacks more, so that it never waits; the other half to those who are soonest done,
 * so that a short prompt does not wait for a long one. What they leave goes to the first again.
 *
 * `chunk`: most tokens of prompts, in a step that others wait for. Writes the share of `running[i]` to `shares[i]`.
 */
export function divide(
  running: readonly Sequence[],
  shares: Int32Array,
  { tokens, samples }: Pick<Limits, 'tokens' | 'samples'>,
  chunk: number,
): void {
  const longer: number[] = []
  for (let i = 0; i < running.length; i++) {
    const only = running[i].remaining === 1
    shares[i] = only ? 1 : 0
    if (!only) longer.push(i)
  }
  const single = running.length - longer.length
  let left = single > 0 ? Math.min(tokens - single, chunk) : tokens
  let rows = samples - single
  const give = (i: number, most: number) => {
    const s = running[i]
    const had = shares[i]
    rows += samplesOf(s, had)
    // Without a row left, a chunk stops one short of the end; scored tokens are rows each.
    const bound = s.scoring ? rows : rows > 0 ? s.remaining : s.remaining - 1
    shares[i] = Math.max(had, Math.min(had + most, s.remaining, bound))
    left -= shares[i] - had
    rows -= samplesOf(s, shares[i])
  }
  if (longer.length === 0) return
  const [first] = longer
  give(first, longer.length > 1 ? Math.ceil(left / 2) : left)
  for (const i of longer.toSorted((a, b) => running[a].remaining - running[b].remaining)) give(i, left)
  give(first, left)
}
