import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { redo, stepOf } from './redo.ts'
import { Sequence } from './sequence.ts'
import type { Slice } from './step.ts'
import { specOf } from './testing/simulation.ts'

function slices(n: number): Slice[] {
  return Array.from({ length: n }, (_, id) => {
    const sequence = new Sequence(id, specOf({}))
    sequence.row = id
    return { sequence, start: 0, count: 1, samples: 1 }
  })
}

/** Redoes a step of `n` in which these break every run they are in; says who ran, who failed, and how many runs it took. */
async function outcome(n: number, culprits: ReadonlySet<number>, gone: ReadonlySet<number> = new Set()) {
  const all = slices(n)
  for (const id of gone) all[id].sequence.row = -1
  const done: number[] = []
  const failed: number[] = []
  let runs = 0
  await redo(stepOf(all), new Error('first'), {
    run: async ({ slices: part }) => {
      runs++
      const ids = part.map((s) => s.sequence.id)
      if (ids.some((id) => culprits.has(id))) throw new Error('again')
      done.push(...ids)
    },
    failed: ({ sequence }) => failed.push(sequence.id),
  })
  return { done: done.toSorted((a, b) => a - b), failed, runs }
}

test('one culprit of sixteen is found in two runs for each halving', async () => {
  const { done, failed, runs } = await outcome(16, new Set([11]))
  assert.deepEqual([failed, done.length, runs], [[11], 15, 8])
})

test('a step of one that fails is not run again', async () => {
  assert.deepEqual(await outcome(1, new Set([0])), { done: [], failed: [0], runs: 0 })
})

test('everybody runs once or has failed alone, and who has left is left out', async () => {
  const ids = fc.array(fc.nat(11), { maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 2, max: 12 }), ids, ids, async (n, bad, left) => {
      const here = (list: readonly number[]) => new Set(list.filter((id) => id < n))
      const gone = here(left)
      const culprits = here(bad)
      const { done, failed, runs } = await outcome(n, culprits, gone)
      const expected = Array.from({ length: n }, (_, id) => id).filter((id) => !gone.has(id))
      assert.deepEqual(
        done,
        expected.filter((id) => !culprits.has(id)),
      )
      assert.deepEqual(
        failed,
        expected.filter((id) => culprits.has(id)),
      )
      assert(runs <= 2 * n)
    }),
    { numRuns: 300, seed: 1 },
  )
})
