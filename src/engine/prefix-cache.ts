import { type BlockKey, blockKey, type KeyRule } from './block-key.ts'
import type { BlockPool } from './block-pool.ts'
import type { Sequence } from './sequence.ts'
import type { PrefixCounts } from './spec.ts'

/**
 * What lets a sequence start from blocks that others, or it itself before a preemption, have computed. Only computed
 * blocks are entered, prompt and generated tokens alike; the pool keeps them until it has nothing emptier to give.
 */
export class PrefixCache {
  readonly #pool: BlockPool
  readonly #rule: KeyRule
  #tokens = 0
  #reused = 0

  constructor(pool: BlockPool, rule: KeyRule) {
    this.#pool = pool
    this.#rule = rule
  }

  get counts(): PrefixCounts {
    return { tokens: this.#tokens, reused: this.#reused }
  }

  /** Computes the keys of a prompt ahead of need: when a request comes, a step is running, and this delays none. */
  prepare(sequence: Sequence): void {
    const whole = this.#whole(sequence.length)
    if (whole > 0) blockKey(sequence, whole - 1, this.#rule)
  }

  /** The blocks of the longest known beginning, one token at least left to compute; none for a prompt to be scored. */
  find(sequence: Sequence): number[] {
    const found: number[] = []
    const most = this.#whole(sequence.length - 1)
    while (!sequence.scoring && found.length < most) {
      const block = this.#pool.find(blockKey(sequence, found.length, this.#rule))
      if (block < 0) break
      found.push(block)
    }
    return found
  }

  /** Starts a sequence from what `find` gave. */
  adopt(sequence: Sequence, found: readonly number[]): void {
    for (const block of found) this.#pool.share(block)
    sequence.table.push(...found)
    sequence.sealed = found.length
    sequence.computed = found.length * this.#rule.blockSize
    this.#tokens += sequence.length
    this.#reused += sequence.computed
  }

  /** Enters the blocks that a sequence has filled since the last time. */
  seal(sequence: Sequence): void {
    const whole = this.#whole(sequence.computed)
    for (; sequence.sealed < whole; sequence.sealed++) {
      this.#pool.seal(sequence.table[sequence.sealed], blockKey(sequence, sequence.sealed, this.#rule))
    }
  }

  /** Nobody shall start from what a failed sequence has computed. */
  forget(sequence: Sequence): void {
    for (const block of sequence.table) this.#pool.forget(block)
  }

  /** The first block, after the `found` ones, that `sequence` would compute and may later find; undefined if none. */
  missing(sequence: Sequence, found: number): BlockKey | undefined {
    if (sequence.scoring || found >= this.#whole(sequence.length - 1)) return undefined
    return blockKey(sequence, found, this.#rule)
  }

  /** Whether `sequence` is on its way to computing the block `key`, its `index`-th. */
  computes(sequence: Sequence, index: number, key: BlockKey): boolean {
    const whole = this.#whole(sequence.length)
    return index < whole && this.#whole(sequence.computed) <= index && blockKey(sequence, index, this.#rule) === key
  }

  #whole(tokens: number): number {
    return Math.floor(tokens / this.#rule.blockSize)
  }
}
