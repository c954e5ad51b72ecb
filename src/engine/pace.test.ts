import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultStretch, firstChunk, leastChunk, Pace } from './pace.ts'

type Cost = (decoding: number, chunk: number) => number

/** Runs steps on a machine at the pace that is found, each second one without prompts; gives how much longer the last took. */
function runAt(pace: Pace, cost: Cost, decoding: number, steps: number): number {
  let chunk = 0
  for (let i = 0; i < steps; i++) {
    pace.observe(decoding, 0, cost(decoding, 0))
    chunk = pace.chunk(decoding, 1)
    pace.observe(decoding, chunk, cost(decoding, chunk))
  }
  return cost(decoding, chunk) / cost(decoding, 0)
}

test('a step with prompts takes as many times longer as it may, on machines of all kinds', () => {
  for (const [fixed, each, added] of [
    [16, 2, 2],
    [0.5, 0.01, 0.02],
    [200, 5, 3],
    [2, 0.6, 0.7],
  ]) {
    for (const decoding of [8, 24, 64]) {
      const cost: Cost = (n, chunk) => fixed + each * n + added * chunk
      const stretch = runAt(new Pace(), cost, decoding, 40)
      assert(stretch <= defaultStretch * 1.02 && stretch > 0.85 * defaultStretch, `${fixed}, ${each}: ${stretch}`)
    }
  }
})

test('a prompt that gets more expensive with every token gets fewer of them', () => {
  const pace = new Pace()
  const seen: number[] = []
  for (let before = 0; before < 3000; ) {
    pace.observe(8, 0, 7)
    const chunk = pace.chunk(8, 1)
    before += chunk
    const took = 7 + chunk * (0.6 + before / 2000)
    pace.observe(8, chunk, took)
    seen.push(took / 7)
  }
  const late = seen.slice(10)
  assert(
    late.every((stretch) => stretch < 1.1 * defaultStretch),
    `${Math.max(...late)}`,
  )
  assert(
    late.every((stretch) => stretch > 0.6 * defaultStretch),
    `${Math.min(...late)}`,
  )
})

test('a hiccup of the machine costs no more than a few small chunks', () => {
  const pace = new Pace()
  const cost: Cost = (n, chunk) => 16 + 2 * n + 2 * chunk
  runAt(pace, cost, 8, 20)
  const before = pace.chunk(8, 1)
  pace.observe(8, before, 5000)
  assert(pace.chunk(8, 1) > before / 2)
  runAt(pace, cost, 8, 10)
  assert(Math.abs(pace.chunk(8, 1) - before) <= 2)
})

test('a machine that becomes slower while prompts are computed is noticed', () => {
  const pace = new Pace()
  const cost: Cost = (n, chunk) => 16 + 2 * n + 2 * chunk
  runAt(pace, cost, 8, 20)
  const before = pace.chunk(8, 1)
  const chunks: number[] = []
  for (let i = 0; i < 100; i++) {
    const chunk = pace.chunk(8, 1)
    chunks.push(chunk)
    pace.observe(8, chunk, 3 * cost(8, chunk))
  }
  assert.deepEqual(
    chunks.flatMap((chunk, i) => (chunk === 0 ? [i] : [])),
    [15, 32, 49, 66, 83],
  )
  assert(chunks[99] > 0.5 * before, `${chunks[99]} instead of ${before}`)
})

test('before anything is known a first guess is taken', () => {
  const pace = new Pace()
  assert.equal(pace.chunk(4, 1), firstChunk)
  pace.observe(4, 0, 20)
  assert.equal(pace.chunk(4, 1), firstChunk)
})

test('there is always a least chunk, and more when more wait for a first token than for a next one', () => {
  const pace = new Pace()
  pace.observe(10, 0, 10)
  pace.observe(10, 10, 110)
  assert.equal(pace.chunk(10, 1), leastChunk)
  assert.equal(pace.chunk(10, 200), 30)
})

test('who asks for it gets whole steps for prompts from the first one on', () => {
  const pace = new Pace(1e6)
  assert(pace.chunk(8, 1) > 1e6)
  runAt(pace, (n, chunk) => 16 + 2 * n + 2 * chunk, 8, 3)
  assert(pace.chunk(8, 1) > 1e6)
})
