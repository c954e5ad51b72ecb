import { performance } from 'node:perf_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type ErrorData, errorData, fail, LoquentError } from '../base/errors.ts'
import { redo } from './redo.ts'
import type { Runner } from './runner.ts'
import type { Scheduler } from './scheduler.ts'
import { Sequence } from './sequence.ts'
import type { EngineFacts, EngineStats, GenerateSpec, TokenEvents } from './spec.ts'
import { checkSpec } from './spec-check.ts'
import type { FinishReason, Sampled, SequenceEvent, Step } from './step.ts'
import { StepTally } from './step-counts.ts'
import { type Ending, Tally } from './tally.ts'

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
  readonly deadline: number
  started?: number
}

/** A run of a step on its way; it never rejects, so that nobody has to listen before it ends. */
type Outcome = ({ readonly sampled: Sampled } | { readonly error: unknown }) & { readonly milliseconds: number }

/**
 * The loop: steps as long as somebody runs, one in flight at a time, and nothing at all when nobody does. What a step
 * gave is told, and what has come meanwhile is taken in, while the next one runs.
 * Requests end through `emit`, once each; an aborted one ends silently, as whoever aborts knows.
 */
export class Engine {
  readonly facts: EngineFacts
  readonly #runner: Runner
  readonly #scheduler: Scheduler
  readonly #emit: EmitEvents
  readonly #clocks = new Map<number, Clock>()
  readonly #tally = new Tally()
  readonly #stepTally = new StepTally()
  /** What the last step gave, not yet told. */
  #untold: RequestEvent[] = []
  /** Requests in the step that runs, and when those of them that were aborted since had been. */
  #inFlight = new Set<number>()
  #leaving: number[] = []
  #loop: Promise<void> | undefined
  #closing = false

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
      this.#tally.refuse()
      this.#emit([{ id, error: errorData(error, 'request.invalid') }])
      return
    }
    const arrived = performance.now()
    this.#clocks.set(id, { arrived, deadline: arrived + (spec.maxTimeMs ?? Number.POSITIVE_INFINITY) })
    this.#tally.submit()
    this.#loop ??= this.#run()
  }

  /** Frees all that a request holds, now; nothing more is said of it. */
  abort(id: number): void {
    if (!this.#clocks.has(id)) return
    this.#remove(id, 'aborted')
    this.#untold = this.#untold.filter((event) => event.id !== id)
    if (this.#inFlight.has(id)) this.#leaving.push(performance.now())
    else this.#tally.freed(0)
  }

  stats(): EngineStats {
    const { requests, cancels, times, steps, tokensGenerated } = this.#tally
    const stepCounts = this.#stepTally.counts
    return { ...this.#scheduler.stats(), requests, cancels, times, stepCounts, steps, tokensGenerated }
  }

  /** Fails what is pending, waits for the step in flight, and gives all memory back. */
  async close(): Promise<void> {
    if (this.#closing) return this.#loop
    this.#closing = true
    const error = errorData(new LoquentError('engine.stopped', { reason: 'it was closed' }))
    for (const id of [...this.#clocks.keys()]) this.#fail(id, error)
    this.#tell()
    await this.#loop
    this.#runner.close()
  }

  async #run(): Promise<void> {
    // A turn of the event loop: requests that came together start together.
    await nextTurn()
    for (let step = this.#scheduler.next(); step; step = this.#scheduler.next()) {
      this.#start(step)
      const running = this.#attempt(step)
      const tellMs = timed(() => this.#tell())
      const outcome = await running
      if ('sampled' in outcome) {
        const decode = timed(() => this.#take(this.#scheduler.commit(step, outcome.sampled)))
        const filter = timed(() => this.#settle()) + tellMs
        this.#stepTally.end(step, { forward: outcome.milliseconds, decode, filter })
      } else {
        await this.#redo(step, outcome.error)
        this.#settle()
      }
    }
    // From here on a request begins a loop of its own, also one that comes while the last events are told.
    this.#loop = undefined
    this.#tally.rest()
    this.#tell()
    this.#scheduler.check()
  }

  #start({ slices }: Step): void {
    const now = performance.now()
    let first = 0
    for (const { sequence } of slices) {
      const clock = this.#clocks.get(sequence.id)!
      if (clock.started === undefined) first++
      clock.started ??= now
      this.#inFlight.add(sequence.id)
    }
    this.#stepTally.start(first, first < slices.length)
  }

  /** Runs a step. While it does, the event loop turns, whatever the backend does: aborts are heard. */
  async #attempt(step: Step): Promise<Outcome> {
    const began = performance.now()
    let ended = began
    const running = this.#runner
      .run(step)
      .then(
        (sampled) => ({ sampled }) as const,
        (error: unknown) => ({ error }) as const,
      )
      .finally(() => {
        ended = performance.now()
      })
    await nextTurn()
    const outcome = { ...(await running), milliseconds: ended - began }
    this.#tally.ran(began, ended)
    this.#stepTally.call(step, 'sampled' in outcome)
    return outcome
  }

  #redo(step: Step, error: unknown): Promise<void> {
    return redo(step, error, {
      run: async (part) => {
        const outcome = await this.#attempt(part)
        if ('error' in outcome) throw outcome.error
        this.#take(this.#scheduler.commit(part, outcome.sampled))
      },
      failed: ({ sequence }, reason) => this.#fail(sequence.id, errorData(reason, 'backend.failed')),
    })
  }

  /** A step is over: what the aborted ones of it wrote to is free, and whoever has used up its time ends. */
  #settle(): void {
    const now = performance.now()
    for (const aborted of this.#leaving) this.#tally.freed(now - aborted)
    this.#leaving = []
    this.#inFlight.clear()
    for (const [id, { deadline }] of this.#clocks) if (deadline <= now) this.#expire(id)
  }

  #expire(id: number): void {
    const at = this.#untold.findIndex((event) => event.id === id)
    const event = this.#untold[at]
    if (event && 'events' in event) {
      this.#untold[at] = { id, events: { ...event.events, finish: this.#finish(id, 'length') } }
      this.#remove(id, 'finished')
    } else {
      this.#fail(id, errorData(new LoquentError('request.expired')))
    }
  }

  #take(events: readonly SequenceEvent[]): void {
    for (const event of events) this.#untold.push(this.#requestEvent(event))
  }

  #tell(): void {
    if (this.#untold.length === 0) return
    const events = this.#untold
    this.#untold = []
    this.#emit(events)
  }

  #requestEvent(event: SequenceEvent): RequestEvent {
    const { id } = event
    if ('error' in event) {
      this.#remove(id, 'failed')
      return event
    }
    const { tokens, promptLogprobs, finish: reason } = event
    const told = promptLogprobs ? { tokens, promptLogprobs } : { tokens }
    this.#tally.tokensGenerated += tokens.length
    if (!reason) return { id, events: told }
    const finish = this.#finish(id, reason)
    this.#remove(id, 'finished')
    return { id, events: { ...told, finish } }
  }

  #finish(id: number, reason: FinishReason): NonNullable<TokenEvents['finish']> {
    const { arrived, started = arrived } = this.#clocks.get(id)!
    return { reason, timings: { queue: started - arrived, inference: performance.now() - started } }
  }

  /** Ends a request with `error`, if it is still there. */
  #fail(id: number, error: ErrorData): void {
    if (!this.#clocks.has(id)) return
    this.#remove(id, 'failed')
    this.#untold.push({ id, error })
  }

  #remove(id: number, how: Ending): void {
    this.#scheduler.abort(id)
    this.#clocks.delete(id)
    this.#tally.end(how)
  }
}

/** Milliseconds that something takes. */
function timed(work: () => void): number {
  const began = performance.now()
  work()
  return performance.now() - began
}
