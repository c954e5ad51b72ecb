import { performance } from 'node:perf_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type ErrorData, errorData, fail, LoquentError } from '../base/errors.ts'
import type { Runner } from './runner.ts'
import type { Scheduler } from './scheduler.ts'
import { Sequence } from './sequence.ts'
import type { EngineFacts, EngineStats, GenerateSpec, TokenEvents } from './spec.ts'
import { checkSpec } from './spec-check.ts'
import type { SequenceEvent, Step } from './step.ts'

/** Most requests that wait; more are refused with `engine.overloaded`. Front doors set lower limits of their own. */
export const maxWaiting = 4096

/** What happened to one request, as plain data. A request has ended with `finish` or `error`. */
export type RequestEvent =
  | { readonly id: number; readonly events: TokenEvents }
  | { readonly id: number; readonly error: ErrorData }

/** Everything that one step did, in one piece. */
export type EmitEvents = (events: readonly RequestEvent[]) => void

interface Clock {
  readonly arrived: number
  started?: number
}

/**
 * The loop: steps as long as somebody runs, one in flight at a time, and nothing at all when nobody does.
 * Requests end through `emit`, once each; an aborted one ends silently, as whoever aborts knows.
 */
export class Engine {
  readonly facts: EngineFacts
  readonly #runner: Runner
  readonly #scheduler: Scheduler
  readonly #emit: EmitEvents
  readonly #clocks = new Map<number, Clock>()
  #loop: Promise<void> | undefined
  #closing = false
  #steps = 0
  #tokensGenerated = 0

  constructor(facts: EngineFacts, runner: Runner, scheduler: Scheduler, emit: EmitEvents) {
    this.facts = facts
    this.#runner = runner
    this.#scheduler = scheduler
    this.#emit = emit
  }

  /** Takes a request, under an id of the caller's that no other living one has. A refusal is an event too. */
  submit(id: number, spec: GenerateSpec): void {
    try {
      if (this.#closing) fail('engine.stopped', { reason: 'it was closed' })
      if (this.#scheduler.stats().waiting >= maxWaiting) fail('engine.overloaded')
      checkSpec(spec, this.facts)
      this.#scheduler.add(new Sequence(id, spec))
    } catch (error) {
      this.#emit([{ id, error: errorData(error, 'request.invalid') }])
      return
    }
    this.#clocks.set(id, { arrived: performance.now() })
    this.#loop ??= this.#run()
  }

  /** Frees all that a request holds, now; nothing more is said of it. */
  abort(id: number): void {
    this.#scheduler.abort(id)
    this.#clocks.delete(id)
  }

  stats(): EngineStats {
    return { ...this.#scheduler.stats(), steps: this.#steps, tokensGenerated: this.#tokensGenerated }
  }

  /** Fails what is pending, waits for the step in flight, and gives all memory back. */
  async close(): Promise<void> {
    if (this.#closing) return this.#loop
    this.#closing = true
    const error = errorData(new LoquentError('engine.stopped', { reason: 'it was closed' }))
    this.#fail([...this.#clocks.keys()], error)
    await this.#loop
    this.#runner.close()
  }

  async #run(): Promise<void> {
    // A turn of the event loop before each step: requests that came together start together, and aborts are heard.
    await nextTurn()
    for (let step = this.#scheduler.next(); step; step = this.#scheduler.next()) {
      await this.#step(step)
      await nextTurn()
    }
    this.#scheduler.check()
    this.#loop = undefined
  }

  async #step(step: Step): Promise<void> {
    const now = performance.now()
    for (const { sequence } of step.slices) {
      const clock = this.#clocks.get(sequence.id)!
      clock.started ??= now
    }
    const sampled = await this.#runner.run(step).catch((error: unknown) => {
      this.#fail(
        step.slices.map((s) => s.sequence.id),
        errorData(error, 'backend.failed'),
      )
    })
    this.#steps++
    if (sampled) this.#tell(this.#scheduler.commit(step, sampled))
  }

  #tell(events: readonly SequenceEvent[]): void {
    if (events.length > 0) this.#emit(events.map((event) => this.#requestEvent(event)))
  }

  #requestEvent(event: SequenceEvent): RequestEvent {
    const { id } = event
    const clock = this.#clocks.get(id)!
    if ('error' in event || event.finish) this.#clocks.delete(id)
    if ('error' in event) return event
    const { finish: reason, id: _, ...told } = event
    this.#tokensGenerated += told.tokens.length
    if (!reason) return { id, events: told }
    const started = clock.started ?? clock.arrived
    const timings = { queue: started - clock.arrived, inference: performance.now() - started }
    return { id, events: { ...told, finish: { reason, timings } } }
  }

  /** Ends the requests that are still there with `error`. */
  #fail(ids: readonly number[], error: ErrorData): void {
    const alive = ids.filter((id) => this.#clocks.has(id))
    for (const id of alive) this.abort(id)
    if (alive.length > 0) this.#emit(alive.map((id) => ({ id, error })))
  }
}
