import { assert } from '../base/assert.ts'
import type { BlockKey } from './block-key.ts'

const none = -1

/**
 * KV blocks, counted by reference. Blocks that nobody holds form one list; those in it that still know their
 * content (`seal`) are the prefix cache: a block keeps its key until it is taken again, so eviction is `take`.
 * The law: free + cached + held = total.
 */
export class BlockPool {
  readonly total: number
  readonly #references: Int32Array
  readonly #keys: (BlockKey | undefined)[]
  readonly #blocks = new Map<BlockKey, number>()
  // The list of blocks nobody holds, linked both ways; entry `total` is its head and tail.
  readonly #next: Int32Array
  readonly #previous: Int32Array
  #held = 0
  #cached = 0

  constructor(total: number) {
    this.total = total
    this.#references = new Int32Array(total)
    this.#keys = new Array<BlockKey | undefined>(total).fill(undefined)
    this.#next = Int32Array.from({ length: total + 1 }, (_, i) => (i === total ? 0 : i + 1))
    this.#previous = Int32Array.from({ length: total + 1 }, (_, i) => (i === 0 ? total : i - 1))
  }

  /** Blocks that `take` can still give: free and cached ones. */
  get available(): number {
    return this.total - this.#held
  }

  get held(): number {
    return this.#held
  }

  get cached(): number {
    return this.#cached
  }

  get free(): number {
    return this.total - this.#held - this.#cached
  }

  /** A block for one holder, or -1. Blocks without content come first, then those released longest ago. */
  take(): number {
    const block = this.#next[this.total]
    if (block === this.total) return none
    this.#unlink(block)
    this.forget(block)
    this.#references[block] = 1
    return block
  }

  /** The block with this content, held or cached, or -1. */
  find(key: BlockKey): number {
    return this.#blocks.get(key) ?? none
  }

  isHeld(block: number): boolean {
    return this.#references[block] > 0
  }

  /** One more holder of a block, whether others hold it or it lies in the cache. */
  share(block: number): void {
    if (this.#references[block] === 0) this.#unlink(block)
    this.#references[block]++
  }

  /**
   * Makes a held, fully computed block known by its content. Where another block is known by the same content, this
   * one stays unknown: tables are append-only, so neither holder can change over, and one of them is enough to find.
   */
  seal(block: number, key: BlockKey): void {
    assert(this.#references[block] > 0, `block ${block} is sealed but not held`)
    if (this.#blocks.has(key) || this.#keys[block] !== undefined) return
    this.#keys[block] = key
    this.#blocks.set(key, block)
  }

  /** Makes a held block unknown: its content is not to be reused. */
  forget(block: number): void {
    const key = this.#keys[block]
    if (key === undefined) return
    this.#keys[block] = undefined
    this.#blocks.delete(key)
  }

  /** Gives up one hold on each block of a table, its tail first, so that the head of a prompt lives longest. */
  release(table: readonly number[]): void {
    for (let i = table.length - 1; i >= 0; i--) {
      const block = table[i]
      assert(this.#references[block] > 0, `block ${block} is released but not held`)
      if (--this.#references[block] === 0) this.#link(block)
    }
  }

  /** Asserts the law by counting afresh; `references` is how many table entries point at blocks. */
  check(references: number): void {
    let listed = 0
    let cached = 0
    for (let b = this.#next[this.total]; b !== this.total; b = this.#next[b]) {
      assert(this.#references[b] === 0, `block ${b} is listed as free and held`)
      assert(++listed <= this.total, 'the list of free blocks has a cycle')
      if (this.#keys[b] !== undefined) cached++
    }
    for (const [key, b] of this.#blocks) assert(this.#keys[b] === key, `block ${b} is known by what it does not hold`)
    const known = this.#keys.reduce((sum, key) => sum + (key === undefined ? 0 : 1), 0)
    assert(known === this.#blocks.size, `${known} blocks have a key, ${this.#blocks.size} can be found`)
    assert(cached === this.#cached, `${cached} blocks are cached, the count says ${this.#cached}`)
    assert(listed + this.#held === this.total, `free ${listed} + held ${this.#held} is not total ${this.total}`)
    const sum = this.#references.reduce((a, b) => a + b, 0)
    assert(sum === references, `${references} table entries, ${sum} references`)
  }

  #unlink(block: number): void {
    this.#next[this.#previous[block]] = this.#next[block]
    this.#previous[this.#next[block]] = this.#previous[block]
    this.#held++
    if (this.#keys[block] !== undefined) this.#cached--
  }

  // What knows its content goes to the end of the list, what does not to the front: nothing is lost by reusing it.
  #link(block: number): void {
    const sealed = this.#keys[block] !== undefined
    const before = sealed ? this.#previous[this.total] : this.total
    const after = this.#next[before]
    this.#next[before] = block
    this.#previous[block] = before
    this.#next[block] = after
    this.#previous[after] = block
    this.#held--
    if (sealed) this.#cached++
  }
}
