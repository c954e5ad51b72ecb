import { createHash } from 'node:crypto'
import { ropeLength, type Sequence } from './sequence.ts'

/** Names a KV block by everything that its rows were computed from. */
export type BlockKey = string

/** What the keys of an engine are made with: tokens a block, and the longest rope length that changes no angle. */
export interface KeyRule {
  readonly blockSize: number
  readonly ropeThreshold: number
}

const digest = (...parts: readonly (string | Int32Array)[]): BlockKey => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('base64')
}

/**
 * Key of block `index`, all of whose tokens are known: SHA-256 over the key of the block before it and its own tokens,
 * the first after the tenant's salt. Nobody who does not know a salt can make, or meet, a key that starts from it.
 * The keys of a sequence are computed once: what they name never changes, not even when it is computed again.
 */
export function blockKey(sequence: Sequence, index: number, rule: KeyRule): BlockKey {
  const { keys } = sequence
  while (keys.length <= index) {
    // No key of a block starts with these letters and a colon: a salt cannot be chosen to look like one.
    const before = keys.at(-1) ?? digest(`salt:${sequence.spec.salt ?? ''}`)
    keys.push(digest(before, wordsOf(sequence, keys.length, rule)))
  }
  return keys[index]
}

/** Token ids; where the rope's angles depend on the length a row was computed with, these lengths too. */
function wordsOf({ ids, promptLength }: Sequence, index: number, { blockSize, ropeThreshold }: KeyRule): Int32Array {
  const words = new Int32Array(2 * blockSize)
  for (let i = 0; i < blockSize; i++) {
    const position = index * blockSize + i
    const length = ropeLength(promptLength, position)
    words[i] = ids[position]
    if (length > ropeThreshold) words[blockSize + i] = length
  }
  return words
}
