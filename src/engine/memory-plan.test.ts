import assert from 'node:assert/strict'
import { test } from 'node:test'
import { availableMemory } from './memory.ts'
import { checkMemory, type MemoryPlan, planEngine } from './memory-plan.ts'
import { backends, tinyModel } from './testing/backends.ts'
import { withEngine } from './testing/listener.ts'

const { facts, limits } = planEngine({ model: tinyModel, backend: 'reference' })

function planOf(available: number, mostCacheTokens: number): MemoryPlan {
  const MiB = 2 ** 20
  const arenas = { weights: 100 * MiB, activations: 10 * MiB, cache: 50 * MiB, step: 5 * MiB }
  return { facts, limits, arenas, total: 165 * MiB, available, mostCacheTokens }
}

test('what fits exactly is taken, one byte less is refused with sizes and what would help', () => {
  checkMemory(planOf(165 * 2 ** 20, 0))
  const refused = (mostCacheTokens: number, help: RegExp) =>
    assert.throws(
      () => checkMemory(planOf(165 * 2 ** 20 - 1, mostCacheTokens)),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'engine.memory')
        assert.match(error.message, /165 MiB \(weights 100 MiB, KV cache 50 MiB, activations 10 MiB, step 5 MiB\)/)
        assert.match(error.message, help)
        return true
      },
    )
  refused(limits.context, /--max-batch-total-tokens\) of at most 128$/)
  refused(limits.context - 1, /--max-total-tokens\) and .* of at most 127$/)
  refused(0, /--max-batch-prefill-tokens.*--dtype/)
})

for (const backend of backends) {
  test(`${backend}: the plan is what a load takes, and what it says would fit does`, async () => {
    const options = { model: tinyModel, backend, maxTotalTokens: 64, maxBatchTotalTokens: 160, maxBatchSize: 3 }
    const plan = planEngine(options)
    assert.equal(plan.limits.context, 64)
    assert.equal(plan.limits.sequences, 3)
    const { weights, cache, activations, step } = plan.arenas
    assert.equal(plan.total, weights + cache + activations + step)
    assert(weights > 0 && cache > 0 && activations > 0 && step > 0)
    await withEngine(options, async (engine) => {
      assert.deepEqual(engine.facts, plan.facts)
      assert.equal(engine.stats().blocks.total, plan.limits.blocks)
    })
    // The KV cache grows by whole blocks, and by as many bytes as the plan says are left.
    const { total } = planEngine({ ...options, maxBatchTotalTokens: plan.mostCacheTokens })
    assert(total <= plan.available && total > plan.available - 2 ** 20, `${total} of ${plan.available}`)
  })
}

test('what does not fit is refused before anything is reserved or read', async () => {
  const tooMuch = { model: tinyModel, maxBatchTotalTokens: 2 ** 31 - 1 }
  const { total, available } = planEngine(tooMuch)
  assert(total > available)
  await assert.rejects(
    withEngine(tooMuch, async () => {}),
    { code: 'engine.memory', message: /it fits with maxBatchTotalTokens/ },
  )
})

test('the machine says how much memory is left', () => {
  assert(availableMemory() > 2 ** 20)
})
