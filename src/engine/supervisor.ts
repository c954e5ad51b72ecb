import { performance } from 'node:perf_hooks'
import { type ErrorData, errorData, LoquentError, reviveError } from '../base/errors.ts'
import { maxWaiting, type RequestEvent } from './engine.ts'
import { unpackEvents } from './event-pack.ts'
import type { EngineState } from './host.ts'
import { Ledger } from './ledger.ts'
import type { Life, LifeEvents } from './life.ts'
import type { FromEngine, ToEngine, ToHost } from './message.ts'
import type { Link } from './message-host.ts'
import { Restarts } from './restarts.ts'
import type { EngineFacts, EngineStats, LoadProgress } from './spec.ts'
import { Watchdog } from './watchdog.ts'

/** How long an engine may take to close before it is killed. */
const closeMs = 10_000
/** How long a killed engine may live on: a thread cannot be ended in the middle of native code, a process can. */
const dyingMs = 30_000
/** An engine that is started again may take so many times as long as the first did, and this at least. */
const slowerStart = 5
const shortestStartMs = 60_000
/** Ticket of our own questions; those of the host count up from 0. */
const ownTicket = -1

/** What a supervisor keeps running. */
export interface Kind {
  /** In words, for notices. */
  readonly name: 'engine process' | 'engine thread'
  launch(on: LifeEvents): Life
  /** Milliseconds that a step of such an engine never takes; see `hangMs`. */
  patience(facts: EngineFacts): number
}

/** Whom a supervisor tells what. */
export interface Watcher {
  progress(progress: LoadProgress): void
  /** The engine is ready for the first time, or `failed` before it ever was. */
  ready(facts: EngineFacts): void
  failed(error: LoquentError): void
  /** What the engine answers, as if it had been one all along. */
  message(message: ToHost): void
  /** There will be no engine any more. */
  stopped(error: LoquentError): void
  /** Something to write into a log. */
  notice(text: string): void
}

/**
 * Keeps an engine running in a process or on a thread of its own: starts another when it dies or hangs, gives it what the dead one had, and looks like
 * one engine that never died.
 */
export class Supervisor implements Link {
  readonly ended: Promise<void>
  readonly #kind: Kind
  readonly #watcher: Watcher
  readonly #begun = performance.now()
  readonly #ledger = new Ledger()
  readonly #restarts = new Restarts()
  readonly #tickets = new Set<number>()
  #life: Life | undefined
  #facts: EngineFacts | undefined
  #watchdog: Watchdog | undefined
  /** How long another start may take. */
  #startMs = 0
  #serving = false
  #closing = false
  #busy = true
  /** Tokens told by engines that are dead. */
  #earlierTokens = 0
  /** Why the engine that is ending ends, where that is known better than by its exit code. */
  #reason: string | undefined
  #timer: NodeJS.Timeout | undefined
  #dying: NodeJS.Timeout | undefined
  #end: () => void = () => {}

  constructor(kind: Kind, watcher: Watcher) {
    this.#kind = kind
    this.#watcher = watcher
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
    this.#start()
  }

  get state(): EngineState {
    return this.#serving ? 'serving' : 'restarting'
  }

  hold(busy: boolean): void {
    this.#busy = busy
    this.#life?.hold(busy)
    if (busy) this.#timer?.ref()
    else this.#timer?.unref()
  }

  send(message: ToEngine): void {
    if (message.kind === 'submit') this.#submit(message)
    else if (message.kind === 'abort') this.#abort(message.id)
    else if (message.kind === 'stats') this.#ask(message.ticket)
    else this.#close()
  }

  #submit({ id, spec }: ToEngine & { kind: 'submit' }): void {
    // As many as an engine takes into its queue: so that after a crash it takes all of them again.
    if (this.#ledger.size >= maxWaiting) {
      this.#tell([{ id, error: errorData(new LoquentError('engine.overloaded')) }])
      return
    }
    this.#ledger.add(id, spec, performance.now())
    this.#give()
  }

  #abort(id: number): void {
    const inside = this.#ledger.remove(id)
    if (inside && this.#serving) this.#life?.send({ kind: 'abort', id })
    this.#give()
  }

  #ask(ticket: number): void {
    this.#tickets.add(ticket)
    if (this.#serving) this.#life?.send({ kind: 'stats', ticket })
  }

  #close(): void {
    this.#closing = true
    clearTimeout(this.#timer)
    if (!this.#life) this.#end()
    else if (!this.#serving) this.#slay()
    else {
      this.#life.send({ kind: 'close' })
      this.#timer = setTimeout(() => this.#slay(), closeMs)
    }
  }

  #start(): void {
    this.#reason = undefined
    const ended = (reason: string) => this.#died(this.#reason ?? reason)
    try {
      this.#life = this.#kind.launch({
        message: (message) => this.#hear(message),
        line: (text) => this.#watcher.notice(`${this.#kind.name}: ${text}`),
        ended,
      })
    } catch (error) {
      // No memory for another one, say: a death like any other.
      ended(String(error))
      return
    }
    this.#life.hold(this.#busy)
    if (this.#facts) this.#timer = setTimeout(() => this.#kill('it did not start in time'), this.#startMs).unref()
  }

  /** Gives the engine what it should have and has not. */
  #give(): void {
    if (!this.#serving) return
    for (const { id, spec } of this.#ledger.due(performance.now())) this.#life?.send({ kind: 'submit', id, spec })
    this.#watchdog?.watch(this.#ledger.running)
  }

  #hear(message: FromEngine): void {
    switch (message.kind) {
      case 'progress':
        if (!this.#facts) this.#watcher.progress(message.progress)
        break
      case 'ready':
        this.#ready(message.facts)
        break
      case 'failed':
        this.#failed(message.error)
        break
      case 'events':
        this.#tell(this.#ledger.record(unpackEvents(message)))
        this.#give()
        break
      case 'stats':
        this.#answer(message.ticket, message.stats)
        break
      case 'closed':
        this.#slay()
    }
  }

  #ready(facts: EngineFacts): void {
    if (this.#facts && JSON.stringify(facts) !== JSON.stringify(this.#facts)) {
      // To go on with another model would be to give other bytes.
      this.#stop('the model on disk has changed')
      return
    }
    this.#serving = true
    clearTimeout(this.#timer)
    if (!this.#facts) this.#begin(facts)
    this.#give()
    for (const ticket of this.#tickets) this.#life?.send({ kind: 'stats', ticket })
  }

  /** The first engine is ready: others are measured by it. */
  #begin(facts: EngineFacts): void {
    this.#facts = facts
    this.#startMs = Math.max(shortestStartMs, slowerStart * (performance.now() - this.#begun))
    const ask = () => this.#life?.send({ kind: 'stats', ticket: ownTicket })
    this.#watchdog = new Watchdog(ask, () => this.#kill('it hung'), this.#kind.patience(facts))
    this.#watcher.ready(facts)
  }

  #failed(data: ErrorData): void {
    const error = reviveError(data)
    if (!this.#facts) this.#watcher.failed(error)
    this.#kill(error.message)
  }

  #answer(ticket: number, stats: EngineStats): void {
    if (ticket === ownTicket) {
      this.#watchdog?.answer(stats.steps)
      return
    }
    this.#tickets.delete(ticket)
    const tokensGenerated = this.#earlierTokens + stats.tokensGenerated
    const whole = { ...stats, tokensGenerated, restarts: this.#restarts.total }
    this.#watcher.message({ kind: 'stats', ticket, stats: whole })
  }

  #kill(reason: string): void {
    this.#reason = reason
    this.#slay()
  }

  /** Ends the engine, by force. One that does not even die holds what the next would need: then that is the end. */
  #slay(): void {
    this.#life?.kill()
    this.#dying ??= setTimeout(() => this.#outlived(), dyingMs).unref()
  }

  #outlived(): void {
    if (!this.#closing) this.#stop('it hangs and cannot be ended')
    this.#life?.hold(false)
    this.#end()
  }

  #died(reason: string): void {
    this.#serving = false
    this.#life = undefined
    this.#watchdog?.watch(false)
    clearTimeout(this.#timer)
    clearTimeout(this.#dying)
    this.#dying = undefined
    if (this.#facts && !this.#closing) {
      this.#restart(reason)
      return
    }
    if (!this.#closing) this.#watcher.failed(new LoquentError('engine.stopped', { reason }))
    this.#end()
  }

  #restart(reason: string): void {
    this.#earlierTokens = this.#ledger.tokens
    const guilty = this.#ledger.crash()
    if (guilty.length > 0) this.#restarts.forgive()
    const error = errorData(new LoquentError('engine.crashed', { reason }))
    this.#tell(guilty.map((id) => ({ id, error })))
    const wait = this.#restarts.next(performance.now())
    if (wait === undefined) {
      // The last reason may name files: it is for the log.
      this.#watcher.notice(`the ${this.#kind.name} died: ${reason}`)
      this.#stop('it died too often')
      return
    }
    const { size } = this.#ledger
    this.#watcher.notice(`the ${this.#kind.name} died (${reason}); starting it again, ${size} requests wait for it`)
    this.#timer = setTimeout(() => this.#start(), wait)
    this.hold(this.#busy)
  }

  #stop(reason: string): void {
    this.#closing = true
    this.#watcher.stopped(new LoquentError('engine.stopped', { reason }))
    this.#watcher.notice(`the engine has stopped for good: ${reason}`)
    if (this.#life) this.#slay()
    else this.#end()
  }

  #tell(events: readonly RequestEvent[]): void {
    if (events.length > 0) this.#watcher.message({ kind: 'events', events })
  }
}
