import type { RequestEvent } from './engine.ts'
import type { GenerateSpec } from './spec.ts'

/** From how many crashes on a request that was there each time is a suspect. */
export const suspectAfter = 2
/** How many crashes a request must have been alone in to be taken for their cause. */
export const guiltyAfter = 2

interface Entry {
  readonly id: number
  readonly spec: GenerateSpec
  readonly arrived: number
  /** Tokens already told. */
  readonly generated: number[]
  /** When it was last given to an engine. */
  given: number
  /** Crashes it was in the engine at, and those it was alone at. */
  crashes: number
  alone: number
  /** Number of the last crash it was in the engine at. */
  lastCrash: number
}

/**
 * What lives on when an engine dies: which requests there are, what they were told, which of them the engine has. Pure.
 *
 * After a crash everybody goes on. Who has been there at two crashes is a suspect, and while there are suspects only
 * they run: half of those the last crash had, and when these have ended twice as many. A crash among them halves the group
 * again, so that a request that brings the engine down is soon alone with it; the second time it does so alone, it is
 * guilty. Everybody else only waits.
 */
export class Ledger {
  readonly #entries = new Map<number, Entry>()
  readonly #inside = new Set<number>()
  readonly #outside = new Set<number>()
  #suspects = 0
  #groupSize = 0
  #crashes = 0
  /** Tokens told to all requests there ever were. */
  tokens = 0

  get size(): number {
    return this.#entries.size
  }

  /** Whether the engine has requests. */
  get running(): boolean {
    return this.#inside.size > 0
  }

  add(id: number, spec: GenerateSpec, now: number): void {
    const fresh = { generated: [], given: now, crashes: 0, alone: 0, lastCrash: 0 }
    this.#entries.set(id, { id, spec, arrived: now, ...fresh })
    this.#outside.add(id)
  }

  /** Forgets a request; true when the engine has it. */
  remove(id: number): boolean {
    if (isSuspect(this.#entries.get(id))) this.#suspects--
    this.#entries.delete(id)
    this.#outside.delete(id)
    return this.#inside.delete(id)
  }

  /** Requests the engine should have and has not, each to go on where it was. From now on it has them. */
  due(now: number): readonly { readonly id: number; readonly spec: GenerateSpec }[] {
    if (this.#suspects > 0 && this.running) return []
    const entries = this.#suspects > 0 ? this.#group() : this.#waiting()
    for (const entry of entries) {
      entry.given = now
      this.#outside.delete(entry.id)
      this.#inside.add(entry.id)
    }
    return entries.map((entry) => ({ id: entry.id, spec: continued(entry) }))
  }

  /** Takes in what the engine told; times are made to say what the request saw, over all its engines. */
  record(events: readonly RequestEvent[]): readonly RequestEvent[] {
    return events.map((event) => {
      const entry = this.#entries.get(event.id)
      if (!entry) return event
      if ('error' in event) {
        this.remove(event.id)
        return event
      }
      const told = event.events.finish ? withLostTime(event, entry) : event
      for (const { id } of event.events.tokens) entry.generated.push(id)
      this.tokens += event.events.tokens.length
      if (event.events.finish) this.remove(event.id)
      return told
    })
  }

  /** The engine died with all it had. Returns the requests that are guilty; they are forgotten. */
  crash(): readonly number[] {
    this.#crashes++
    this.#groupSize = Math.max(1, Math.ceil(this.#inside.size / 2))
    const alone = this.#inside.size === 1
    const present = [...this.#inside].map((id) => this.#entries.get(id)!)
    for (const entry of present) {
      this.#inside.delete(entry.id)
      this.#outside.add(entry.id)
      entry.crashes++
      entry.lastCrash = this.#crashes
      if (entry.crashes === suspectAfter) this.#suspects++
      if (alone) entry.alone++
    }
    const guilty = present.filter((entry) => entry.alone >= guiltyAfter).map((entry) => entry.id)
    for (const id of guilty) this.remove(id)
    return guilty
  }

  /** The next suspects to run: those of the last crash first. */
  #group(): readonly Entry[] {
    const suspects = this.#waiting().filter(isSuspect)
    const group = suspects.sort((a, b) => b.lastCrash - a.lastCrash || a.id - b.id).slice(0, this.#groupSize)
    // If this one ends well, the next may be greater; if not, the crash sets the size.
    this.#groupSize *= 2
    return group
  }

  /** In order of arrival. */
  #waiting(): Entry[] {
    return [...this.#outside].sort((a, b) => a - b).map((id) => this.#entries.get(id)!)
  }
}

const isSuspect = (entry: Entry | undefined): boolean => entry !== undefined && entry.crashes >= suspectAfter

/** What an engine must know to go on where the last one was; the time that is gone counts. */
function continued({ spec, generated, arrived, given }: Entry): GenerateSpec {
  const { maxTimeMs } = spec
  return {
    ...spec,
    ...(generated.length > 0 && { generatedIds: generated }),
    ...(maxTimeMs !== undefined && { maxTimeMs: Math.max(1, maxTimeMs - (given - arrived)) }),
  }
}

type Told = Extract<RequestEvent, { readonly events: unknown }>

/** The last engine knows nothing of the time before it: spent waiting, or running once there were tokens. */
function withLostTime(event: Told, { arrived, given, crashes, generated }: Entry): Told {
  const { finish } = event.events
  if (!finish || crashes === 0) return event
  const lost = given - arrived
  const { queue, inference } = finish.timings
  const timings = generated.length > 0 ? { queue, inference: inference + lost } : { queue: queue + lost, inference }
  return { ...event, events: { ...event.events, finish: { ...finish, timings } } }
}
