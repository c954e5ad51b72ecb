import { fail, LoquentError, reviveError } from '../base/errors.ts'
import type { RequestEvent } from './engine.ts'
import type { EngineHost, EngineState } from './host.ts'
import { Mailbox } from './mailbox.ts'
import type { ToEngine, ToHost } from './message.ts'
import type { EngineFacts, EngineStats, GenerateSpec, TokenEvents } from './spec.ts'

/** A way to an engine elsewhere. */
export interface Link {
  send(message: ToEngine): void
  /** Whether somebody waits for an answer: only then may the engine keep the process alive. */
  hold(busy: boolean): void
  /** Resolves when the other side is gone. */
  readonly ended: Promise<void>
  /** Absent where the other side is started once. */
  readonly state?: EngineState
}

interface StatsTicket {
  resolve(stats: EngineStats): void
  reject(error: LoquentError): void
}

/** Speaks the four messages: knows which requests live, and makes an iterable of the events of each. */
export class MessageHost implements EngineHost {
  readonly facts: EngineFacts
  readonly #link: Link
  readonly #mailboxes = new Map<number, Mailbox>()
  readonly #tickets = new Map<number, StatsTicket>()
  #nextId = 0
  #stopped: LoquentError | undefined
  #closing: Promise<void> | undefined

  constructor(facts: EngineFacts, link: Link) {
    this.facts = facts
    this.#link = link
  }

  get state(): EngineState {
    return this.#stopped ? 'stopped' : (this.#link.state ?? 'serving')
  }

  /** Nothing is sent before the first event is asked for. Leaving the loop early frees the request. */
  async *submit(spec: GenerateSpec, signal?: AbortSignal): AsyncGenerator<TokenEvents, void, void> {
    if (this.#stopped) throw this.#stopped
    if (signal?.aborted) fail('request.aborted')
    const id = this.#nextId++
    const mailbox = new Mailbox()
    const cancel = () => {
      mailbox.fail(new LoquentError('request.aborted'), true)
      this.#abandon(id)
    }
    signal?.addEventListener('abort', cancel, { once: true })
    this.#mailboxes.set(id, mailbox)
    this.#hold()
    this.#link.send({ kind: 'submit', id, spec })
    try {
      for (let finished = false; !finished; ) {
        const events = await mailbox.take()
        finished = events.finish !== undefined
        yield events
      }
    } finally {
      signal?.removeEventListener('abort', cancel)
      this.#abandon(id)
    }
  }

  stats(): Promise<EngineStats> {
    if (this.#stopped) return Promise.reject(this.#stopped)
    const ticket = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#tickets.set(ticket, { resolve, reject })
      this.#hold()
      this.#link.send({ kind: 'stats', ticket })
    })
  }

  /** Fails what is pending with `engine.stopped`, and resolves when the engine has given everything back. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  receive(message: ToHost): void {
    if (message.kind === 'events') for (const event of message.events) this.#deliver(event)
    if (message.kind === 'stats') {
      this.#tickets.get(message.ticket)?.resolve(message.stats)
      this.#tickets.delete(message.ticket)
      this.#hold()
    }
  }

  /** Fails everything, now and later: the other side is gone or going. */
  stop(error: LoquentError): void {
    this.#stopped ??= error
    for (const mailbox of this.#mailboxes.values()) mailbox.fail(this.#stopped)
    for (const ticket of this.#tickets.values()) ticket.reject(this.#stopped)
    this.#mailboxes.clear()
    this.#tickets.clear()
  }

  async #close(): Promise<void> {
    this.stop(new LoquentError('engine.stopped', { reason: 'it was closed' }))
    this.#link.hold(true)
    this.#link.send({ kind: 'close' })
    await this.#link.ended
  }

  /** Events of requests that were abandoned meanwhile fall on the floor. */
  #deliver(event: RequestEvent): void {
    const mailbox = this.#mailboxes.get(event.id)
    const over = 'error' in event || event.events.finish !== undefined
    if (over) this.#mailboxes.delete(event.id)
    if (over) this.#hold()
    if ('error' in event) mailbox?.fail(reviveError(event.error))
    else mailbox?.put(event.events)
  }

  #abandon(id: number): void {
    if (!this.#mailboxes.delete(id)) return
    this.#link.send({ kind: 'abort', id })
    this.#hold()
  }

  #hold(): void {
    this.#link.hold(this.#closing !== undefined || this.#mailboxes.size + this.#tickets.size > 0)
  }
}
