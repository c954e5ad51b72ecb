import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulateAll } from './testing/simulate.ts'
import { mixed, runAlone, smallLimits, specOf } from './testing/simulation.ts'

/** `npm run test:all` runs ten thousand. */
const seeds = 400

test(`${seeds} simulated runs conserve blocks, starve nobody, and give each request what it gets alone`, async () => {
  const { preemptions, reused, redone, ended, failed } = await simulateAll(0, seeds)
  assert(preemptions > seeds / 4, `${preemptions} preemptions: the arenas are not tight enough to test anything`)
  assert(reused > 5 * seeds, `${reused} tokens reused: the prompts are not alike enough`)
  assert(redone > seeds && failed > seeds / 4, `${redone} steps redone, ${failed} requests failed`)
  assert(ended > 4 * seeds, `${ended} requests came to their end`)
})

test('the model of the simulation tells sequences apart', () => {
  const ample = smallLimits({ blocks: 256 })
  const outputs = Array.from({ length: 50 }, (_, i) => runAlone(specOf({ promptIds: mixed(i, 6) }), ample).ids.join())
  assert(new Set(outputs).size > 45)
})
