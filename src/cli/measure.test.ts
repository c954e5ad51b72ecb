import assert from 'node:assert/strict'
import test from 'node:test'
import { startWorkerHost } from '../engine/worker-host.ts'
import { embeddedModel } from '../library/embedded.ts'
import { decodeOf, measureDecode, measurePrefill, streamTokens } from './measure.ts'

test('only the time in which every stream generates counts', () => {
  const early = [100, 150, 200, 210, 220, 230]
  const late = [200, 210, 220, 230, 240, 250]
  assert.deepEqual(decodeOf([early, late]), { rate: 200, gaps: [10, 10, 10, 10, 10, 10] })
  assert.deepEqual(decodeOf([[5, 5, 5]]), { rate: Number.NaN, gaps: [] })
})

test('a workload runs on an engine, its prompts computed once', async () => {
  const workload = { batch: 3, promptTokens: 40, newTokens: 40 }
  const most = streamTokens(workload)
  const host = await startWorkerHost({
    model: embeddedModel,
    backend: 'reference',
    maxTotalTokens: most,
    maxBatchTotalTokens: 4 * most,
    maxBatchSize: 3,
  })
  try {
    const { firstToken, rate } = await measurePrefill(host, workload, 1)
    assert.equal(firstToken.length, 3)
    assert.ok(rate > 0)
    const before = (await host.stats()).prefix.reused
    const { gaps } = await measureDecode(host, workload, 1)
    assert.ok((await host.stats()).prefix.reused > before, 'the prompts were computed again')
    // The first tokens may wait in the mailbox while this thread compiles itself, but not most of them.
    assert.ok(gaps.length > workload.newTokens, `${gaps.length} gaps`)
    assert.ok(gaps.every((gap) => gap >= 0))
  } finally {
    await host.close()
  }
})
