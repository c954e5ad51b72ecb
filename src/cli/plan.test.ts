import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planMemory } from '../library/index.ts'
import { planText } from './plan.ts'

test('a plan shows every arena, what they sum up to, and what else would fit', async () => {
  const plan = await planMemory(undefined, { maxTotalTokens: 512, maxBatchTotalTokens: 2048 })
  const lines = planText(plan).split('\n')
  const mebibytes = (name: string) => Number(lines.find((l) => l.startsWith(name))!.match(/([\d.]+) MiB/)![1])
  const parts = ['weights', 'KV cache', 'activations', 'step'].map(mebibytes)
  assert(parts.every((size) => size > 0))
  assert(Math.abs(parts.reduce((a, b) => a + b) - mebibytes('total')) < 0.3)
  assert(lines.some((l) => /^KV cache .* 2,048 tokens: 4 full requests of 512$/.test(l)))
  assert(lines.some((l) => /^total .* fits: [\d.]+ MiB are available$/.test(l)))
  assert.match(lines.at(-2)!, /^room for a KV cache of [\d,]+ tokens/)
})

test('a plan that does not fit says so, and with what it would', async () => {
  const plan = await planMemory(undefined, { maxTotalTokens: 512, maxBatchTotalTokens: 2 ** 31 - 1 })
  const text = planText(plan)
  assert.match(text, /DOES NOT FIT/)
  assert.match(text, new RegExp(`--max-batch-total-tokens\\) of at most ${plan.mostCacheTokens}\n$`))
})
