import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Sequence } from './sequence.ts'
import { divide, samplesOf } from './share.ts'
import { specOf } from './testing/simulation.ts'

/** Sequences that lack this many tokens. */
const lacking = (counts: readonly number[], scored = false) =>
  counts.map((n, id) => new Sequence(id, specOf({ promptIds: Array(n).fill(1), promptLogprobs: scored })))

function shares(running: readonly Sequence[], tokens: number, samples = 64, chunk = Number.POSITIVE_INFINITY) {
  const given = new Int32Array(running.length)
  divide(running, given, { tokens, samples }, chunk)
  return [...given]
}

test('who lacks one token gets it, and the others what is left', () => {
  assert.deepEqual(shares(lacking([1, 50, 1]), 10), [1, 8, 1])
  assert.deepEqual(shares(lacking([3, 2]), 10), [3, 2])
})

test('half goes to the first, the rest to who is soonest done, and what they leave to the first again', () => {
  assert.deepEqual(shares(lacking([100, 100, 5]), 32), [27, 0, 5])
  assert.deepEqual(shares(lacking([100, 3, 5]), 32), [24, 3, 5])
  assert.deepEqual(shares(lacking([4, 100]), 32), [4, 28])
  assert.deepEqual(shares(lacking([100, 90, 5]), 32), [16, 11, 5])
})

test('a chunk bounds what prompts take of a step that others wait for, and of no other', () => {
  assert.deepEqual(shares(lacking([1, 100, 100]), 64, 64, 8), [1, 8, 0])
  assert.deepEqual(shares(lacking([1, 100, 5]), 64, 64, 8), [1, 4, 4])
  assert.deepEqual(shares(lacking([100, 100]), 64, 64, 8), [64, 0])
})

test('without a row of logits left a prompt stops one short of its end', () => {
  assert.deepEqual(shares(lacking([1, 4]), 10, 1), [1, 3])
  assert.deepEqual(shares(lacking([9], true), 10, 4), [4])
})

test('nothing is given twice, the first always advances, and nothing is left that somebody could use', () => {
  const counts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(
      counts,
      fc.nat(30),
      fc.nat(30),
      fc.integer({ min: 1, max: 40 }),
      fc.boolean(),
      (ns, t, r, chunk, scored) => {
        const running = lacking(ns, scored)
        const [tokens, samples] = [ns.length + t, ns.length + r]
        const given = shares(running, tokens, samples, chunk)
        const sum = given.reduce((a, b) => a + b)
        const rows = running.reduce((a, s, i) => a + samplesOf(s, given[i]), 0)
        assert(sum <= tokens && rows <= samples && given[0] > 0)
        for (const [i, n] of ns.entries()) assert(given[i] >= 0 && given[i] <= n && (n > 1 || given[i] === 1))
        const single = ns.filter((n) => n === 1).length
        const most = single > 0 ? Math.min(tokens, single + chunk) : tokens
        assert(sum <= most)
        if (!scored)
          assert(
            sum >=
              Math.min(
                most,
                ns.reduce((a, n) => a + Math.max(1, n - 1), 0),
              ) -
                ns.length,
          )
      },
    ),
    { numRuns: 500, seed: 1 },
  )
})
