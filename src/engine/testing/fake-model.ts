import { assert } from '../../base/assert.ts'
import { blocksPerSequence, type Limits } from '../../ops/domain.ts'
import type { Frame } from '../../ops/frame.ts'
import { followHash, startHash, tokenOf } from './simulation.ts'

/** Steps with this token in them fail as a whole. */
export const poison = 49
/** One state in so many gives logits that are not finite. */
const oneRowFails = 701

/**
 * A model with a real KV memory, run over real frames: what a position stores is a hash of all tokens up to it, read
 * back through the block table. A block that is reused wrongly, lost, or written twice changes what comes after.
 */
export class FakeModel {
  readonly #cache: Uint32Array
  readonly #ropeThreshold: number

  constructor({ blocks, blockSize }: Limits, ropeThreshold: number) {
    this.#cache = new Uint32Array(blocks * blockSize)
    this.#ropeThreshold = ropeThreshold
  }

  /** Fails as a device would: halfway, with rubbish in the places that it was to write. */
  run(frame: Frame, fails = false): void {
    const tokens = frame.counts[0]
    const broken = fails || frame.tokenIds.subarray(0, tokens).includes(poison)
    this.#compute(frame, tokens)
    if (!broken) {
      this.#sample(frame)
      return
    }
    for (let row = 0; row < tokens; row += 2) this.#cache[frame.slots[row]] = row
    throw new Error('the step failed')
  }

  #compute(frame: Frame, tokens: number): void {
    const slots = frame.slots.subarray(0, tokens)
    assert(new Set(slots).size === tokens, 'two rows write one slot')
    for (let row = 0; row < tokens; row++) {
      const length = frame.ropeLengths[row]
      const id = frame.tokenIds[row] ^ (length > this.#ropeThreshold ? length << 8 : 0)
      this.#cache[frame.slots[row]] = followHash(this.#before(frame, row), id)
    }
  }

  /** What the position before that of `row` stores, wherever its block is. */
  #before(frame: Frame, row: number): number {
    const { blockSize } = frame.limits
    const position = frame.positions[row] - 1
    if (position < 0) return startHash
    const table = frame.tokenSequences[row] * blocksPerSequence(frame.limits)
    const block = frame.blockTables[table + Math.floor(position / blockSize)]
    return this.#cache[block * blockSize + (position % blockSize)]
  }

  #sample(frame: Frame): void {
    const { topTokens } = frame.limits
    for (let row = 0; row < frame.counts[2]; row++) {
      const state = this.#cache[frame.slots[frame.sampleRows[row]]]
      const target = frame.sampleTargets[row]
      const id = target < 0 ? tokenOf(state) : target
      frame.chosen[row] = id
      frame.chosenLogprobs[row] = -((state ^ id) % 4096)
      frame.sampleStatus[row] = state % oneRowFails === 0 ? 1 : 0
      frame.topCounts[row] = target < 0 ? frame.topTokens[row] : 0
      for (let k = 0; k < frame.topTokens[row]; k++) frame.topIds[row * topTokens + k] = id + k
    }
  }
}
