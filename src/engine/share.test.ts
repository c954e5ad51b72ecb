import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { leastChunk, type Pace, unbounded } from './pace.ts'
import { Sequence } from './sequence.ts'
import { divide, samplesOf } from './share.ts'
import { specOf } from './testing/simulation.ts'

/** Sequences that lack this many tokens. */
const lacking = (counts: readonly number[], scored = false) =>
  counts.map((n, id) => new Sequence(id, specOf({ promptIds: Array(n).fill(1), promptLogprobs: scored })))

/** Beside a sequence that lacks one token, prompts get this many, each at the same cost. */
const paced = (chunk: number): Pace => ({
  plain: () => 1,
  allowance: () => chunk,
  affordable: (_, units) => Math.max(0, Math.floor(units)),
  cost: (_, count) => count,
})

function shares(running: readonly Sequence[], tokens: number, samples = 64, pace = unbounded, waiting = 0) {
  const given = new Int32Array(running.length)
  divide(running, given, { tokens, samples }, waiting, pace)
  return [...given]
}

test('who lacks one token gets it, and the others what is left', () => {
  assert.deepEqual(shares(lacking([1, 50, 1]), 10), [1, 8, 1])
  assert.deepEqual(shares(lacking([3, 2]), 10), [3, 2])
})

test('half goes to the first, the rest to who is soonest done, and what they leave to the first again', () => {
  assert.deepEqual(shares(lacking([100, 100, 5]), 32), [27, 0, 5])
  assert.deepEqual(shares(lacking([100, 90, 5]), 32), [16, 11, 5])
  assert.deepEqual(shares(lacking([100, 3, 5]), 32), [24, 3, 5])
  assert.deepEqual(shares(lacking([4, 100]), 32), [4, 28])
})

test('a pace bounds what prompts take of a step that others wait for, and of no other', () => {
  assert.deepEqual(shares(lacking([1, 100, 1]), 64, 64, paced(8)), [1, 8, 1])
  assert.deepEqual(shares(lacking([1, 1, 100, 5]), 64, 64, paced(8)), [1, 1, 4, 4])
  assert.deepEqual(shares(lacking([100, 100]), 64, 64, paced(8)), [64, 0])
  assert.deepEqual(shares(lacking([1, 100]), 64, 64, paced(0)), [1, leastChunk])
})

test('a pace is loosened when more wait for a first token than for a next one', () => {
  assert.deepEqual(shares(lacking([1, 100]), 64, 64, paced(8), 2), [1, 24])
  assert.deepEqual(shares(lacking([1, 1, 1, 100]), 64, 64, paced(8), 2), [1, 1, 1, 8])
})

test('without a row of logits left a prompt stops one short of its end', () => {
  assert.deepEqual(shares(lacking([1, 4]), 10, 1), [1, 3])
  assert.deepEqual(shares(lacking([9], true), 10, 4), [4])
})

const cases = fc.record({
  counts: fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 }),
  tokens: fc.nat(30),
  samples: fc.nat(30),
  chunk: fc.integer({ min: 1, max: 40 }),
  scored: fc.boolean(),
})

test('nothing is given twice, the first always advances, and nothing is left that somebody could use', () => {
  fc.assert(
    fc.property(cases, ({ counts, chunk, scored, ...more }) => {
      const running = lacking(counts, scored)
      const n = counts.length
      const [tokens, samples] = [n + more.tokens, n + more.samples]
      const given = shares(running, tokens, samples, paced(chunk))
      const sum = given.reduce((a, b) => a + b)
      const rows = running.reduce((a, s, i) => a + samplesOf(s, given[i]), 0)
      assert(sum <= tokens && rows <= samples && given[0] > 0)
      for (const [i, lacks] of counts.entries()) assert(given[i] <= lacks && (lacks > 1 || given[i] === 1))
      const single = counts.filter((lacks) => lacks === 1).length
      const pressure = Math.max(1, (n - single) / single)
      const most = single > 0 ? Math.min(tokens, single + Math.max(leastChunk, pressure * chunk)) : tokens
      assert(sum <= most)
      if (!scored && single === 0)
        assert(
          sum >=
            Math.min(
              most,
              counts.reduce((a, lacks) => a + lacks - 1, 0),
            ),
        )
    }),
    { numRuns: 500, seed: 1 },
  )
})
