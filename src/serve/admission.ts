import type { FastifyInstance } from 'fastify'
import { fail } from '../base/errors.ts'

/** How much the last generation counts in the mean of how long they take. */
const weight = 0.1
const longestRetryS = 60

/** Counts the generations under way and refuses more than `max`; nobody waits here, the engine has the queue. */
export class Admission {
  readonly #max: number
  #held = 0
  #meanMs = 0

  constructor(max: number) {
    this.#max = max
  }

  get held(): number {
    return this.#held
  }

  /** Whole seconds until one of the permits now held is likely to be free. */
  get retryAfter(): number {
    const seconds = Math.ceil(this.#meanMs / 1000 / Math.max(1, this.#held))
    return Math.min(Math.max(1, seconds), longestRetryS)
  }

  /** Takes `count` permits or none. Returns what gives them back, once. Throws `engine.overloaded`. */
  take(count = 1): () => void {
    if (this.#held + count > this.#max) fail('engine.overloaded')
    this.#held += count
    const taken = performance.now()
    let released = false
    return () => {
      if (released) return
      released = true
      this.#held -= count
      const ms = performance.now() - taken
      this.#meanMs = this.#meanMs === 0 ? ms : this.#meanMs + weight * (ms - this.#meanMs)
    }
  }
}

/** Whoever is told that the server is full is told when to come again. */
export function tellRetry(app: FastifyInstance, admission: Admission): void {
  app.addHook('onSend', async (_request, reply) => {
    if (reply.statusCode === 429) reply.header('retry-after', String(admission.retryAfter))
  })
}
