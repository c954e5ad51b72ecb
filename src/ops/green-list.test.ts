import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { greenList } from './green-list.ts'

/** What torch 2.13 gives: first ids of `torch.randperm`, and a hash of the sorted green list as int32. */
const golden: readonly [number, number, number, readonly number[], string, number][] = [
  [5, 97, 0.5, [24, 58, 21, 40, 77, 85, 12, 36], '2e082ee8cd87d550', 48],
  [318, 50257, 0.5, [6652, 6873, 16571, 19963, 31837, 21676, 31605, 346], '45b2e47ff1fd0036', 25128],
  [49000, 49152, 0.25, [12243, 10336, 47817, 14633, 25464, 42995, 1301, 474], '3327a0028c0284a8', 12288],
  [0, 97, 0.5, [57, 16, 40, 53, 62, 76, 61, 80], '7afafd188eeab1ea', 48],
]

for (const [previous, vocabulary, gamma, first, hash, count] of golden) {
  test(`green list after ${previous} of ${vocabulary}, as torch permutes`, () => {
    const ids = greenList(previous, vocabulary, gamma)
    assert.deepEqual([...ids.subarray(0, first.length)], first)
    assert.equal(ids.length, count)
    const sorted = new Uint8Array(Int32Array.from(ids).sort().buffer)
    assert.equal(createHash('sha256').update(sorted).digest('hex').slice(0, 16), hash)
  })
}
