import type { LoquentError } from '../base/errors.ts'
import type { TokenEvents } from './spec.ts'

/** Events of one request on their way to its reader; holds no more than one request can produce. */
export class Mailbox {
  #events: TokenEvents[] = []
  #error: LoquentError | undefined
  #wake: (() => void) | undefined

  put(events: TokenEvents): void {
    this.#events.push(events)
    this.#wake?.()
  }

  /** Ends the mailbox: what lies in it is still read, unless `atOnce`. */
  fail(error: LoquentError, atOnce = false): void {
    this.#error = error
    if (atOnce) this.#events = []
    this.#wake?.()
  }

  /** The next events, when they are there; throws what the mailbox ended with. One reader at a time. */
  async take(): Promise<TokenEvents> {
    while (this.#events.length === 0) {
      if (this.#error) throw this.#error
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.#events.shift()!
  }
}
