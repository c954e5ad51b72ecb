import { fail } from '../base/errors.ts'

/** Counts the generations under way and refuses more than `max`; nobody waits here, the engine has the queue. */
export class Admission {
  readonly #max: number
  #held = 0

  constructor(max: number) {
    this.#max = max
  }

  get held(): number {
    return this.#held
  }

  /** Takes `count` permits or none. Returns what gives them back, once. Throws `engine.overloaded`. */
  take(count = 1): () => void {
    if (this.#held + count > this.#max) fail('engine.overloaded')
    this.#held += count
    let released = false
    return () => {
      if (released) return
      released = true
      this.#held -= count
    }
  }
}
