import assert from 'node:assert/strict'
import { test } from 'node:test'
import { availableMemory, checkMemory } from './memory.ts'

const MiB = 2 ** 20
const arenas = { weights: 100 * MiB, activations: 10 * MiB, cache: 50 * MiB }

test('what fits exactly is taken, one byte less is refused with sizes and what would help', () => {
  checkMemory(arenas, 5 * MiB, 165 * MiB)
  assert.throws(
    () => checkMemory(arenas, 5 * MiB, 165 * MiB - 1),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, 'engine.memory')
      for (const words of [
        'weights 100 MiB',
        'KV cache 50 MiB',
        'activations 10 MiB',
        'maxBatchTotalTokens',
        'dtype',
      ]) {
        assert.match(error.message, new RegExp(words))
      }
      return true
    },
  )
})

test('the machine says how much memory is left', () => {
  assert(availableMemory() > MiB)
})
