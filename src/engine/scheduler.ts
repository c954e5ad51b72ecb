import { assert } from '../base/assert.ts'
import { fail } from '../base/errors.ts'
import type { Limits } from '../ops/domain.ts'
import { accept } from './accept.ts'
import { BlockPool } from './block-pool.ts'
import { insert, stepsPerPriority } from './order.ts'
import { type Pace, unbounded } from './pace.ts'
import { PrefixCache } from './prefix-cache.ts'
import { mostComputed, type Sequence } from './sequence.ts'
import { divide, samplesOf } from './share.ts'
import type { BlockCounts, PrefixCounts } from './spec.ts'
import type { Sampled, SequenceEvent, Slice, Step } from './step.ts'

export interface SchedulerStats {
  readonly waiting: number
  readonly running: number
  readonly preemptions: number
  readonly blocks: BlockCounts
  readonly prefix: PrefixCounts
}

/** Decides what each step computes. Pure: no clock, no I/O; between `next` and `commit` lies the run of the step. */
export interface Scheduler {
  /** Queues a sequence; throws `request.invalid` for one that could never run even alone. */
  add(sequence: Sequence): void
  /** Ends a sequence and frees its blocks at once; false when it is not here (any more). */
  abort(id: number): boolean
  /** The next step, or null when nobody is left. */
  next(): Step | null
  /** Takes in what a step sampled. Sequences aborted meanwhile are passed over. */
  commit(step: Step, sampled: Sampled): readonly SequenceEvent[]
  stats(): SchedulerStats
  /** Asserts that blocks are conserved. */
  check(): void
}

type SchedulerLimits = Pick<
  Limits,
  'tokens' | 'sequences' | 'samples' | 'context' | 'blocks' | 'blockSize' | 'topTokens'
>

/** Waiting sequences that may be passed over in one step because somebody is computing their prompt already. */
const mostPassedOver = 64

/** What a scheduler must know of the model, where it is not the plainest there is. */
export interface ModelTraits {
  /** The longest rope length that does not change the model's angles, where its rope depends on lengths. */
  readonly ropeThreshold?: number
  /** What prompts may take of a step that others wait for; everything when absent. */
  readonly pace?: Pace
}

/** A scheduler over an empty pool of `limits.blocks` blocks. */
export const createScheduler = (limits: SchedulerLimits, traits: ModelTraits = {}): Scheduler =>
  new StepScheduler(limits, traits)

/**
 * Running and waiting sequences are each kept in one order (`order.ts`). The first that runs advances in every step and
 * is never preempted, the last is the one to be; the first that waits is the next to run. So nobody waits for ever.
 */
class StepScheduler implements Scheduler {
  readonly #limits: SchedulerLimits
  readonly #pool: BlockPool
  readonly #pace: Pace
  readonly #prefixes: PrefixCache
  /** With no more running sequences than tokens or samples in a step, each of them can advance in every step. */
  readonly #seats: number
  readonly #running: Sequence[] = []
  readonly #waiting: Sequence[] = []
  readonly #rows: number[]
  readonly #shares: Int32Array
  #preemptions = 0
  #steps = 0
  #arrivals = 0

  constructor(limits: SchedulerLimits, traits: ModelTraits) {
    const { ropeThreshold = Number.POSITIVE_INFINITY, pace = unbounded } = traits
    this.#limits = limits
    this.#pace = pace
    this.#pool = new BlockPool(limits.blocks)
    this.#prefixes = new PrefixCache(this.#pool, { blockSize: limits.blockSize, ropeThreshold })
    this.#seats = Math.min(limits.sequences, limits.tokens, limits.samples)
    this.#rows = Array.from({ length: this.#seats }, (_, i) => this.#seats - 1 - i)
    this.#shares = new Int32Array(this.#seats)
  }

  add(sequence: Sequence): void {
    const { promptIds, maxNewTokens } = sequence.spec
    const { context, blocks, blockSize } = this.#limits
    const tokens = promptIds.length + maxNewTokens
    if (promptIds.length < 1) fail('request.invalid', { reason: 'the prompt has no tokens' })
    if (maxNewTokens < 1) fail('request.invalid', { reason: 'maxNewTokens must be at least 1' })
    if (tokens > context) {
      const reason = `${promptIds.length} prompt tokens and ${maxNewTokens} new ones are more than the ${context} a sequence may have`
      fail('request.invalid', { reason })
    }
    if (this.#blocksFor(mostComputed(sequence.spec)) > blocks) {
      fail('request.invalid', { reason: `${tokens} tokens never fit the KV cache of ${blocks * blockSize} tokens` })
    }
    sequence.rank = this.#steps - stepsPerPriority * (sequence.spec.priority ?? 0)
    sequence.arrival = this.#arrivals++
    this.#prefixes.prepare(sequence)
    insert(this.#waiting, sequence)
  }

  abort(id: number): boolean {
    const running = this.#running.find((s) => s.id === id)
    if (running) this.#end(running)
    const waiting = this.#waiting.findIndex((s) => s.id === id)
    if (waiting >= 0) this.#waiting.splice(waiting, 1)
    return running !== undefined || waiting >= 0
  }

  next(): Step | null {
    this.#admit()
    if (this.#running.length === 0) return null
    divide(this.#running, this.#shares, this.#limits, this.#waiting.length, this.#pace)
    const slices: Slice[] = []
    let tokens = 0
    let samples = 0
    // Length is read anew each time: whoever is preempted leaves from the end of the list.
    for (let i = 0; i < this.#running.length; i++) {
      const slice = this.#slice(this.#running[i], this.#shares[i])
      if (slice.count === 0) continue
      slices.push(slice)
      tokens += slice.count
      samples += slice.samples
    }
    this.#steps++
    assert(slices.length > 0, 'the first sequence did not advance')
    return { slices, tokens, samples }
  }

  commit(step: Step, sampled: Sampled): readonly SequenceEvent[] {
    const events: SequenceEvent[] = []
    let row = 0
    for (const slice of step.slices) {
      const { sequence } = slice
      const aborted = sequence.row < 0
      if (!aborted) {
        sequence.computed += slice.count
        const event = accept(slice, row, sampled, this.#limits.topTokens)
        if (event) events.push(event)
        if (event && 'error' in event) this.#prefixes.forget(sequence)
        else this.#prefixes.seal(sequence)
        if (event && ('error' in event || event.finish)) this.#end(sequence)
      }
      row += slice.samples
    }
    return events
  }

  stats(): SchedulerStats {
    return {
      waiting: this.#waiting.length,
      running: this.#running.length,
      preemptions: this.#preemptions,
      blocks: {
        total: this.#pool.total,
        free: this.#pool.available,
        held: this.#pool.held,
        cached: this.#pool.cached,
      },
      prefix: this.#prefixes.counts,
    }
  }

  check(): void {
    let references = 0
    for (const s of this.#running) references += s.table.length
    for (const s of this.#waiting) assert(s.table.length === 0, `sequence ${s.id} holds blocks while it waits`)
    this.#pool.check(references)
    assert(this.#rows.length + this.#running.length === this.#seats, 'a history row is lost')
  }

  #blocksFor(tokens: number): number {
    return Math.ceil(tokens / this.#limits.blockSize)
  }

  /**
   * In order. A sequence starts when blocks are there for all tokens it and the running ones already
   * have, and for one more block each: so nobody is let in only to be preempted at once. Alone, it always fits.
   * One whose next block a running one is computing waits for it, and others may pass: it will find that block.
   */
  #admit(): void {
    for (let i = 0; i < this.#waiting.length && i < mostPassedOver && this.#running.length < this.#seats; ) {
      const sequence = this.#waiting[i]
      const found = this.#prefixes.find(sequence)
      if (this.#isComputed(sequence, found.length)) i++
      else if (this.#fits(sequence, found)) this.#start(i, found)
      else return
    }
  }

  #isComputed(sequence: Sequence, found: number): boolean {
    const key = this.#prefixes.missing(sequence, found)
    return key !== undefined && this.#running.some((s) => this.#prefixes.computes(s, found, key))
  }

  #fits(sequence: Sequence, found: readonly number[]): boolean {
    if (this.#running.length === 0) return true
    const held = found.filter((block) => this.#pool.isHeld(block)).length
    const wanted = this.#blocksFor(sequence.length) - held + this.#running.length
    return wanted <= this.#pool.available - this.#owed()
  }

  #start(index: number, found: readonly number[]): void {
    const [sequence] = this.#waiting.splice(index, 1)
    sequence.row = this.#rows.pop()!
    this.#prefixes.adopt(sequence, found)
    insert(this.#running, sequence)
  }

  /** Blocks that running sequences lack for tokens they already have. */
  #owed(): number {
    let blocks = 0
    for (const s of this.#running) blocks += Math.max(0, this.#blocksFor(s.length) - s.table.length)
    return blocks
  }

  #slice(sequence: Sequence, share: number): Slice {
    const count = this.#grow(sequence, share)
    return { sequence, start: sequence.computed, count, samples: samplesOf(sequence, count) }
  }

  /**
   * Takes the blocks for `share` more tokens, from the last sequences if it must. The last itself makes do
   * with what there is, and waits with its blocks when that is nothing: cheaper than computing it again.
   */
  #grow(sequence: Sequence, share: number): number {
    const wanted = this.#blocksFor(sequence.computed + share)
    while (sequence.table.length < wanted) {
      const block = this.#pool.take()
      if (block >= 0) sequence.table.push(block)
      else if (this.#running.at(-1) === sequence)
        return sequence.table.length * this.#limits.blockSize - sequence.computed
      else this.#preempt()
    }
    return share
  }

  #preempt(): void {
    const sequence = this.#running.at(-1)!
    this.#end(sequence)
    insert(this.#waiting, sequence)
    this.#preemptions++
  }

  #end(sequence: Sequence): void {
    this.#running.splice(this.#running.indexOf(sequence), 1)
    this.#pool.release(sequence.table)
    this.#rows.push(sequence.row)
    sequence.rewind()
  }
}
