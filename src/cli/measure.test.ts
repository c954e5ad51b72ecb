import assert from 'node:assert/strict'
import test from 'node:test'
import { startWorkerHost } from '../engine/worker-host.ts'
import { embeddedModel } from '../library/embedded.ts'
import { measure, streamTokens, summary } from './measure.ts'

test('only the time in which every stream generates counts', () => {
  const workload = { batch: 2, promptTokens: 10, newTokens: 2 }
  const early = [100, 150, 200, 210, 220, 230]
  const late = [200, 210, 220, 230, 240, 250]
  const m = summary(workload, [early, late])
  assert.deepEqual(m.firstToken, [100, 200])
  assert.equal(m.prefillRate, 100)
  assert.equal(m.decodeRate, 200)
  assert.deepEqual(m.gaps, [10, 10, 10, 10, 10, 10])
})

test('a workload runs on an engine and every stream gets the tokens it was promised', async () => {
  const workload = { batch: 3, promptTokens: 20, newTokens: 40 }
  const stepTokens = 16
  const most = streamTokens(workload, stepTokens)
  const host = await startWorkerHost({
    model: embeddedModel,
    backend: 'reference',
    maxTotalTokens: most,
    maxBatchTotalTokens: 3 * most,
    maxBatchPrefillTokens: stepTokens,
    maxBatchSize: 3,
  })
  try {
    const m = await measure(host, workload, 1, stepTokens)
    assert.equal(m.firstToken.length, 3)
    // The first tokens may wait in the mailbox while this thread compiles itself, but not most of them.
    assert.ok(m.gaps.length > workload.newTokens, `${m.gaps.length} gaps`)
    assert.ok(m.prefillRate > 0 && m.decodeRate > 0)
    assert.ok(m.gaps.every((gap) => gap >= 0))
  } finally {
    await host.close()
  }
})
