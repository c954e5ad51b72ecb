import { assert } from '../base/assert.ts'

const none = -1

/**
 * KV blocks, counted by reference. Blocks that nobody holds form one list; those in it that still know their
 * content (`seal`) are the prefix cache: a block keeps its hash until it is taken again, so eviction is `take`.
 * The law: free + cached + held = total.
 */
export class BlockPool {
  readonly total: number
  readonly #references: Int32Array
  readonly #hashes: (bigint | undefined)[]
  // The list of blocks nobody holds, linked both ways; entry `total` is its head and tail.
  readonly #next: Int32Array
  readonly #previous: Int32Array
  #held = 0
  #cached = 0

  constructor(total: number) {
    this.total = total
    this.#references = new Int32Array(total)
    this.#hashes = new Array<bigint | undefined>(total).fill(undefined)
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
    this.#hashes[block] = undefined
    this.#references[block] = 1
    return block
  }

  /** One more holder of a block, whether others hold it or it lies in the cache. */
  share(block: number): void {
    if (this.#references[block] === 0) this.#unlink(block)
    this.#references[block]++
  }

  /** Marks a held, full block with the hash of all tokens up to its end. */
  seal(block: number, hash: bigint): void {
    assert(this.#references[block] > 0, `block ${block} is sealed but not held`)
    this.#hashes[block] = hash
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
      if (this.#hashes[b] !== undefined) cached++
    }
    assert(cached === this.#cached, `${cached} blocks are cached, the count says ${this.#cached}`)
    assert(listed + this.#held === this.total, `free ${listed} + held ${this.#held} is not total ${this.total}`)
    const sum = this.#references.reduce((a, b) => a + b, 0)
    assert(sum === references, `${references} table entries, ${sum} references`)
  }

  #unlink(block: number): void {
    this.#next[this.#previous[block]] = this.#next[block]
    this.#previous[this.#next[block]] = this.#previous[block]
    this.#held++
    if (this.#hashes[block] !== undefined) this.#cached--
  }

  // What knows its content goes to the end of the list, what does not to the front: nothing is lost by reusing it.
  #link(block: number): void {
    const sealed = this.#hashes[block] !== undefined
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
