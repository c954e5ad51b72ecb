import type { CancelTimes, RequestCounts, StepTimes } from './spec.ts'

/** How a request ended. */
export type Ending = 'finished' | 'aborted' | 'failed'

/** Counts what an engine does. Everything is a sum or a maximum: nothing grows. */
export class Tally {
  steps = 0
  tokensGenerated = 0
  #submitted = 0
  #refused = 0
  readonly #ended = { finished: 0, aborted: 0, failed: 0 }
  readonly #cancels = { count: 0, total: 0, longest: 0 }
  readonly #times = { running: 0, between: 0 }
  #settled: number | undefined

  get requests(): RequestCounts {
    return { submitted: this.#submitted, refused: this.#refused, ...this.#ended }
  }

  get cancels(): CancelTimes {
    return { ...this.#cancels }
  }

  get times(): StepTimes {
    return { ...this.#times }
  }

  submit(): void {
    this.#submitted++
  }

  refuse(): void {
    this.#refused++
  }

  end(how: Ending): void {
    this.#ended[how]++
  }

  /** A request was cancelled, and `milliseconds` later what it held could be given to others. */
  freed(milliseconds: number): void {
    this.#cancels.count++
    this.#cancels.total += milliseconds
    this.#cancels.longest = Math.max(this.#cancels.longest, milliseconds)
  }

  /** A run of a step began at `began` and ended at `ended`. */
  ran(began: number, ended: number): void {
    this.steps++
    this.#times.running += ended - began
    if (this.#settled !== undefined) this.#times.between += began - this.#settled
    this.#settled = ended
  }

  /** The next run does not follow at once: the engine has nothing to do. */
  rest(): void {
    this.#settled = undefined
  }
}
