import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseLimits, defaultCacheBytes, defaultCacheShare, defaultLogitBytes } from './limits.ts'
import type { EngineOptions } from './spec.ts'

const model = { vocabulary: 49152, maxPositions: 8192 }
// 30 layers of 3 heads of 64, keys and values in float32, blocks of 16 tokens: a model of 135 million weights.
const costs = { blockBytes: 30 * 3 * 64 * 2 * 4 * 16, blockSize: 16, weightBytes: 270e6, available: 2 ** 29 }

const choose = (options: Omit<EngineOptions, 'model'>, facts = model, storage = costs) =>
  chooseLimits({ model: '', ...options }, facts, storage)

test('the defaults keep KV and logits of a small model within their budgets', () => {
  const l = choose({})
  assert(l.blocks * costs.blockBytes <= defaultCacheBytes)
  assert(l.blocks * costs.blockBytes > 0.95 * defaultCacheBytes)
  assert.equal(l.blocks * l.blockSize, l.context)
  assert.deepEqual([l.tokens, l.sequences, l.samples, l.vocabulary], [512, 64, 64, 49152])
})

test('where there is memory, a small model holds several full sequences', () => {
  const l = choose({}, model, { ...costs, available: 2 ** 34 })
  assert.deepEqual([l.context, l.blocks * l.blockSize], [8192, 4 * 8192])
  assert(l.blocks * costs.blockBytes < 2 ** 34 * defaultCacheShare)
})

test('a model with cheap KV holds several full sequences', () => {
  const l = choose(
    {},
    { vocabulary: 131, maxPositions: 128 },
    { blockBytes: 4096, blockSize: 16, weightBytes: 1e5, available: 0 },
  )
  assert.deepEqual([l.context, l.blocks * l.blockSize], [128, 512])
})

test('KV grows with the weights, and a long context is cut to the default', () => {
  const big = { blockBytes: 32 * 8 * 128 * 2 * 4 * 16, blockSize: 16, weightBytes: 16e9, available: 24e9 }
  const l = choose({}, { vocabulary: 128256, maxPositions: 131072 }, big)
  assert.equal(l.context, 8192)
  assert(l.blocks * big.blockBytes <= 8e9 && l.blocks * l.blockSize > 3 * l.context)
})

test('logits of a huge vocabulary bound the batch', () => {
  const l = choose({}, { vocabulary: 2 ** 20, maxPositions: 8192 })
  assert.deepEqual([l.sequences, l.samples], [16, 16])
  assert(l.samples * l.vocabulary * 4 <= defaultLogitBytes)
})

test('what is asked for is what one gets; zero means choose', () => {
  const asked = { maxTotalTokens: 1000, maxBatchPrefillTokens: 100, maxBatchSize: 10, maxBatchTotalTokens: 4000 }
  const l = choose({ ...asked, maxSamples: 20 })
  assert.deepEqual([l.context, l.tokens, l.sequences, l.blocks, l.samples], [1000, 100, 10, 250, 20])
  assert.deepEqual(choose({ maxTotalTokens: 0, maxSamples: 0, maxBatchSize: 0 }), choose({}))
  assert.deepEqual(
    [choose({ maxBatchTotalTokens: 600 }).context, choose({ maxBatchTotalTokens: 600 }).blocks],
    [600, 38],
  )
})

test('one small budget lowers the others that were not asked for', () => {
  const few = choose({ maxBatchPrefillTokens: 7 })
  assert.deepEqual([few.tokens, few.sequences], [7, 7])
  const rows = choose({ maxSamples: 3 })
  assert.deepEqual([rows.samples, rows.sequences], [3, 3])
  const batch = choose({ maxBatchSize: 1000 })
  assert.deepEqual([batch.tokens, batch.sequences, batch.samples], [1000, 1000, 1000])
})

test('contradictions are refused, by the name of the option', () => {
  const refused = (options: Omit<EngineOptions, 'model'>, message: RegExp) =>
    assert.throws(() => choose(options), { code: 'option.invalid', message })
  refused({ maxTotalTokens: 9000 }, /^maxTotalTokens: the model was made for 8192/)
  refused({ maxTotalTokens: 2000, maxBatchTotalTokens: 1000 }, /^maxBatchTotalTokens: 1000 is less than maxTotalTokens/)
  refused({ maxBatchSize: 8, maxBatchPrefillTokens: 4 }, /^maxBatchPrefillTokens: 4 is less than maxBatchSize, 8/)
  refused({ maxBatchSize: 8, maxSamples: 4 }, /^maxSamples: 4 is less than maxBatchSize/)
  for (const bad of [-1, 1.5, Number.NaN, 2 ** 31])
    refused({ maxBatchSize: bad }, /^maxBatchSize: .* is not a positive/)
})
