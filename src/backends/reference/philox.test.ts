import assert from 'node:assert/strict'
import { test } from 'node:test'
import { philox, uniform, type Words4 } from './philox.ts'

const hex = (words: Words4) => words.map((w) => w.toString(16).padStart(8, '0')).join(' ')

/** Known answers published with the authors' Random123 library (philox4x32, 10 rounds). */
const known: readonly [Words4, number, number, string][] = [
  [[0, 0, 0, 0], 0, 0, '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
  [[0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff], 0xffffffff, 0xffffffff, '408f276d 41c83b0e a20bc7c6 6d5451fd'],
  [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], 0xa4093822, 0x299f31d0, 'd16cfe09 94fdcceb 5001e420 24126ea1'],
]

test('philox gives the published answers', () => {
  for (const [counter, low, high, words] of known) assert.equal(hex(philox(counter, low, high)), words)
})

test('a draw is a double of 53 bits below one, named by seed and length', () => {
  const expected = (0x6627e8d5 * 2 ** 21 + (0xe169c58d >>> 11)) / 2 ** 53
  assert.equal(uniform(0, 0, 0), expected)
  assert.notEqual(uniform(0, 0, 1), expected)
  assert.notEqual(uniform(0, 1, 0), expected)
  const draws = Array.from({ length: 4000 }, (_, i) => uniform(7, 9, i))
  assert.ok(draws.every((u) => u >= 0 && u < 1))
  const mean = draws.reduce((a, b) => a + b) / draws.length
  assert.ok(Math.abs(mean - 0.5) < 0.02, `mean ${mean}`)
})
