import type { FastifyInstance, FastifyReply } from 'fastify'
import type { EngineStats, LLM } from '../library/index.ts'
import { Canary } from './canary.ts'
import { unhealthy } from './errors.ts'
import { sendJson } from './json-reply.ts'

/**
 * How long an engine that has requests may take to finish a step, before it is not ready, and before it is not alive
 * whatever it answers. The latter leaves an engine's process the time to be found hanging, and to be replaced.
 */
const patience = { ready: 60_000, live: 660_000 }

/**
 * What is true of the engine now. Being full is not an illness, and neither is a request that was refused or failed.
 * Probes share one question, so that none pile up behind an engine that hangs.
 */
export class Health {
  readonly #llm: LLM
  readonly #deadlineMs: number
  readonly #canary: Canary
  #question: Promise<EngineStats | undefined> | undefined
  #restarts: number | undefined
  #steps: number | undefined
  #stepsSince = 0

  constructor(llm: LLM, deadlineMs: number) {
    this.#llm = llm
    this.#deadlineMs = deadlineMs
    this.#canary = new Canary(llm)
  }

  /** The loop goes round: the engine answers in time and does steps, or is being started again. */
  async live(): Promise<boolean> {
    if (this.#llm.state !== 'serving') return this.#llm.state === 'restarting'
    return (await this.#pulse(patience.live)) !== undefined
  }

  /** The engine generates: a token of our own in time where nobody else is there, else what the last one said. */
  async ready(): Promise<boolean> {
    if (this.#llm.state !== 'serving') return false
    const stats = await this.#pulse(patience.ready)
    if (!stats) return false
    if (stats.restarts !== this.#restarts) this.#canary.forget()
    this.#restarts = stats.restarts
    const others = stats.running + stats.waiting - (this.#canary.flying ? 1 : 0)
    const verdict = this.#canary.ask()
    if (others > 0) return this.#canary.last !== false
    return (await within(this.#deadlineMs, verdict)) ?? false
  }

  /** Statistics of an engine that answers in time and has not stalled for longer; undefined of any other. */
  async #pulse(stallMs: number): Promise<EngineStats | undefined> {
    this.#question ??= this.#ask()
    const stats = await within(this.#deadlineMs, this.#question)
    return stats && this.#stalledMs(stats) < stallMs ? stats : undefined
  }

  #stalledMs(stats: EngineStats): number {
    const now = performance.now()
    // Whoever was idle when last asked may have been given something only now.
    const steps = isBusy(stats) ? stats.steps : undefined
    if (steps === undefined || steps !== this.#steps) this.#stepsSince = now
    this.#steps = steps
    return now - this.#stepsSince
  }

  async #ask(): Promise<EngineStats | undefined> {
    try {
      return await this.#llm.stats()
    } catch {
      return undefined
    } finally {
      this.#question = undefined
    }
  }
}

const isBusy = ({ running, waiting }: EngineStats): boolean => running + waiting > 0

/** What `promise` resolves with, or undefined when that takes longer. */
function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), ms)
    promise.then((value) => {
      clearTimeout(timer)
      resolve(value)
    })
  })
}

/** `/health` and its other names tell whether the server is ready, as the reference server's does. */
export function healthRoutes(app: FastifyInstance, health: Health, more: readonly string[] = []): void {
  const tell = (reply: FastifyReply, well: boolean): FastifyReply =>
    well ? reply.code(200).send() : sendJson(reply.code(unhealthy.status), JSON.stringify(unhealthy.body))
  for (const path of new Set(['/health', '/ping', '/', '/health/ready', ...more])) {
    app.get(path, async (_request, reply) => tell(reply, await health.ready()))
  }
  app.get('/health/live', async (_request, reply) => tell(reply, await health.live()))
}
