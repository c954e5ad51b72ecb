import type { EngineFacts, EngineOptions } from './spec.ts'

/** An engine that has requests and finishes no step between two looks this far apart hangs. */
export const hangMs = 300_000

/** Where a step may take for ever, nobody looks. */
export const neverMs = Number.POSITIVE_INFINITY

/**
 * What such an engine is given before it counts as hanging. The reference backend has no native code to hang in, and no
 * bound on what a step may take.
 */
export function patienceOf({ verify }: EngineOptions, given: number | undefined): (facts: EngineFacts) => number {
  return ({ backend }) => given ?? (backend === 'reference' || verify ? neverMs : hangMs)
}

/** Looks after an engine while it has requests; one that is idle costs no timer. */
export class Watchdog {
  readonly #ask: () => void
  readonly #hangs: () => void
  readonly #everyMs: number
  #timer: NodeJS.Timeout | undefined
  #answered = true
  #steps: number | undefined

  constructor(ask: () => void, hangs: () => void, everyMs: number) {
    this.#ask = ask
    this.#hangs = hangs
    this.#everyMs = everyMs
  }

  /** Whether there is something to look after. */
  watch(running: boolean): void {
    if (running === (this.#timer !== undefined) || this.#everyMs === neverMs) return
    clearInterval(this.#timer)
    this.#timer = running ? setInterval(() => this.#look(), this.#everyMs).unref() : undefined
    this.#answered = true
    this.#steps = undefined
  }

  /** The engine has done so many steps. */
  answer(steps: number): void {
    this.#answered = true
    if (this.#timer && steps === this.#steps) this.#hangs()
    this.#steps = steps
  }

  #look(): void {
    if (!this.#answered) {
      // Where it was this thread that hung, the answer lies in the queue: it is heard before the judgement.
      setImmediate(() => this.#judge())
      return
    }
    this.#answered = false
    this.#ask()
  }

  #judge(): void {
    if (this.#timer && !this.#answered) this.#hangs()
  }
}
