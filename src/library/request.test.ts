import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkOptions, samplingOf, specOf, truncateIds } from './request.ts'
import type { ModelInfo } from './types.ts'

const info = { maxTotalTokens: 4096, maxInputTokens: 4095, maxTopTokens: 5 } as ModelInfo
const ids = Array.from({ length: 10 }, (_, i) => i + 3)
const newTokens = (maxNewTokens?: number) =>
  specOf(ids, samplingOf({}), maxNewTokens === undefined ? {} : { maxNewTokens }, info, [2]).maxNewTokens

test('a long generation is one request, without seams after 1024 tokens', () => {
  assert.equal(newTokens(2000), 2000)
  assert.equal(newTokens(), 4096 - ids.length)
  assert.equal(newTokens(100_000), 4096 - ids.length)
})

test('an empty stop sequence, which every text ends with, is refused', () => {
  assert.throws(() => checkOptions('x', { stop: ['a', ''] }, info), /`stop` sequences cannot be empty/)
})

test('truncation keeps the end, and a BOS in front', () => {
  assert.deepEqual(truncateIds([1, 4, 5, 6], 2, 1), [1, 6])
  assert.deepEqual(truncateIds([4, 5, 6], 2, 1), [5, 6])
  assert.deepEqual(truncateIds([4, 5, 6], 3, undefined), [4, 5, 6])
})
