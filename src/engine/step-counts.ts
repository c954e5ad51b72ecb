import { durationBounds, durationBucket } from '../base/durations.ts'
import type { DurationCounts, MethodCounts, StepCounts } from './spec.ts'
import type { Step } from './step.ts'

/** Sizes of batches are counted one by one up to this; greater ones together. */
const mostSizes = 1024

/** prefill: a step that computes some of a prompt. */
type Method = keyof StepCounts['methods']

class Durations {
  readonly #counts: number[] = Array(durationBounds.length + 1).fill(0)
  #sum = 0

  add(milliseconds: number): void {
    const seconds = Math.max(0, milliseconds) / 1000
    this.#counts[durationBucket(seconds)]!++
    this.#sum += seconds
  }

  get counts(): DurationCounts {
    return { counts: [...this.#counts], sum: this.#sum }
  }
}

class MethodTally {
  count = 0
  failures = 0
  readonly inference = new Durations()
  readonly forward = new Durations()
  readonly decode = new Durations()
  readonly filter = new Durations()

  get counts(): MethodCounts {
    const { count, failures, inference, forward, decode, filter } = this
    const times = { forward: forward.counts, decode: decode.counts, filter: filter.counts }
    return { count, failures, inference: inference.counts, ...times }
  }
}

/** Milliseconds that the parts of one step took. */
export interface StepParts {
  readonly forward: number
  readonly decode: number
  readonly filter: number
}

/** Counts steps and how long their parts took. Arrays of fixed lengths: nothing grows. */
export class StepTally {
  readonly #methods: Record<Method, MethodTally> = { prefill: new MethodTally(), decode: new MethodTally() }
  readonly #sizes: number[] = Array(mostSizes + 1).fill(0)
  #largest = 0
  #joined = 0

  get counts(): StepCounts {
    const { prefill, decode } = this.#methods
    return {
      methods: { prefill: prefill.counts, decode: decode.counts },
      started: this.#sizes.slice(1, this.#largest + 1),
      joined: this.#joined,
    }
  }

  /** So many requests have their first step, among others or by themselves. */
  start(requests: number, others: boolean): void {
    if (requests === 0) return
    const size = Math.min(requests, mostSizes)
    this.#sizes[size]!++
    this.#largest = Math.max(this.#largest, size)
    if (others) this.#joined++
  }

  /** The backend was called for a step. */
  call(step: Step, ok: boolean): void {
    const tally = this.#methods[methodOf(step)]
    tally.count++
    if (!ok) tally.failures++
  }

  /** A step has come to its end. */
  end(step: Step, { forward, decode, filter }: StepParts): void {
    const tally = this.#methods[methodOf(step)]
    tally.forward.add(forward)
    tally.decode.add(decode)
    tally.filter.add(filter)
    tally.inference.add(forward + decode + filter)
  }
}

const methodOf = ({ slices }: Step): Method =>
  slices.some(({ start, sequence }) => start < sequence.promptLength) ? 'prefill' : 'decode'
