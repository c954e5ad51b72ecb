import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runApart, simulate } from './testing/simulate.ts'
import { mixed, runAlone, smallLimits, specOf } from './testing/simulation.ts'

/** `npm run test:all` runs ten thousand. */
const seeds = 400

test(`${seeds} simulated runs conserve blocks, starve nobody, and give each request what it gets alone`, async () => {
  const sum = { preemptions: 0, reused: 0, redone: 0, ended: 0, failed: 0 }
  for (let seed = 0; seed < seeds; seed++) {
    const run = await simulate(seed)
    sum.preemptions += run.preemptions
    sum.reused += run.reused
    sum.redone += run.redone
    for (const [id, spec] of run.specs.entries()) {
      if (run.aborted.has(id)) continue
      assert.deepEqual(run.results[id], await runApart(spec, run), `seed ${seed}, request ${id}`)
      sum.ended++
      if (run.results[id].error) sum.failed++
    }
  }
  assert(
    sum.preemptions > seeds / 2,
    `${sum.preemptions} preemptions: the arenas are not tight enough to test anything`,
  )
  assert(sum.reused > 5 * seeds, `${sum.reused} tokens reused: the prompts are not alike enough`)
  assert(sum.redone > seeds && sum.failed > seeds / 4, `${sum.redone} steps redone, ${sum.failed} requests failed`)
  assert(sum.ended > 5 * seeds)
})

test('the model of the simulation tells sequences apart', () => {
  const ample = smallLimits({ blocks: 256 })
  const outputs = Array.from({ length: 50 }, (_, i) => runAlone(specOf({ promptIds: mixed(i, 6) }), ample).ids.join())
  assert(new Set(outputs).size > 45)
})
