import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultStretch, firstChunk, leastChunk, Pace } from './pace.ts'

/** A machine on which a step takes this long; steps are run at the pace that is found. */
function runAt(pace: Pace, cost: (tokens: number) => number, decoding: number, steps: number): number {
  let chunk = 0
  for (let i = 0; i < steps; i++) {
    pace.observe(decoding, 0, cost(decoding))
    chunk = pace.chunk(decoding, 1)
    pace.observe(decoding + chunk, chunk, cost(decoding + chunk))
  }
  return cost(decoding + chunk) / cost(decoding)
}

test('a step with prompts takes at most so many times what it takes without, on machines of all kinds', () => {
  for (const [fixed, slope] of [
    [16, 2],
    [0.5, 0.01],
    [200, 5],
    [10, 0.2],
  ]) {
    for (const decoding of [8, 24, 64]) {
      const stretch = runAt(new Pace(), (tokens) => fixed + slope * tokens, decoding, 20)
      assert(stretch <= defaultStretch * 1.01 && stretch > 0.9 * defaultStretch, `${fixed}, ${slope}: ${stretch}`)
    }
  }
})

test('what was learned with few sequences holds for many', () => {
  const pace = new Pace()
  const cost = (tokens: number) => 16 + 2 * tokens
  runAt(pace, cost, 2, 20)
  assert.equal(pace.chunk(40, 1), Math.floor((defaultStretch - 1) * (8 + 40)))
})

test('before anything is known, and when noise says that tokens cost nothing, a first guess is taken', () => {
  const pace = new Pace()
  assert.equal(pace.chunk(4, 1), firstChunk)
  pace.observe(4, 0, 20)
  assert.equal(pace.chunk(4, 1), firstChunk)
  pace.observe(36, 32, 10)
  assert.equal(pace.chunk(4, 1), firstChunk)
})

test('there is always a least chunk, and more when more wait for a first token than for a next one', () => {
  const pace = new Pace()
  pace.observe(1, 0, 2)
  pace.observe(65, 64, 130)
  assert.equal(pace.chunk(1, 1), leastChunk)
  assert.equal(pace.chunk(10, 10), leastChunk)
  assert.equal(pace.chunk(10, 100), 125)
})

test('who asks for it gets whole steps for prompts from the first one on', () => {
  const pace = new Pace(1e6)
  assert(pace.chunk(8, 1) > 1e6)
  runAt(pace, (tokens) => 16 + 2 * tokens, 8, 3)
  assert(pace.chunk(8, 1) > 1e6)
})
