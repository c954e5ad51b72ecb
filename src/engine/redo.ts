import type { Slice, Step } from './step.ts'

/** A step of these slices; each of them is what it was in the step that it comes from. */
export function stepOf(slices: readonly Slice[]): Step {
  let tokens = 0
  let samples = 0
  for (const slice of slices) {
    tokens += slice.count
    samples += slice.samples
  }
  return { slices, tokens, samples }
}

/** What is to be done when a step is redone in parts; `run` resolves when a part has been computed and taken in. */
export interface Redo {
  run(part: Step): Promise<void>
  /** This slice has failed alone. */
  failed(slice: Slice, error: unknown): void
}

/**
 * Finds out who broke a step that failed with `error`, by running its halves, their halves, and so on: whoever fails
 * alone has failed, all others have their step. A failed run has written nothing but rows that are not counted as
 * computed yet, so that running them again writes all of them again, and gives the same bytes. Whoever has left
 * meanwhile is left out: its blocks are nobody's until the next step.
 */
export async function redo({ slices }: Step, error: unknown, how: Redo): Promise<void> {
  if (slices.length === 1) return how.failed(slices[0], error)
  const middle = Math.ceil(slices.length / 2)
  for (const half of [slices.slice(0, middle), slices.slice(middle)]) {
    const part = stepOf(half.filter(({ sequence }) => sequence.row >= 0))
    if (part.slices.length === 0) continue
    try {
      await how.run(part)
    } catch (again) {
      await redo(part, again, how)
    }
  }
}
