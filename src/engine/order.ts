import type { Sequence } from './sequence.ts'

/**
 * How many steps earlier than it did a request counts as having come, for each point of its priority. A head start is
 * all that a priority is: whoever waits grows older than any newcomer with a greater one, so nobody waits for ever.
 */
export const stepsPerPriority = 100

/** Priorities are integers from minus this to this. */
export const mostPriority = 10

/** Negative when `a` goes first. What a sequence is compared by is set once, when it comes. */
const compare = (a: Sequence, b: Sequence): number => a.rank - b.rank || a.arrival - b.arrival

/** Puts a sequence where it belongs in a list in order. */
export function insert(list: Sequence[], sequence: Sequence): void {
  let at = list.length
  while (at > 0 && compare(sequence, list[at - 1]) < 0) at--
  list.splice(at, 0, sequence)
}
