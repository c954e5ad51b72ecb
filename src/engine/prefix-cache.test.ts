import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createScheduler } from './scheduler.ts'
import { Sequence } from './sequence.ts'
import type { GenerateSpec } from './spec.ts'
import { mixed, runOne, smallLimits, specOf } from './testing/simulation.ts'

const limits = smallLimits({ tokens: 64, samples: 64, blocks: 64 })

/** Runs specs one after another on one scheduler; gives the tokens each step computed, and the sequences. */
function runAfter(specs: readonly GenerateSpec[], ropeThreshold = Number.POSITIVE_INFINITY) {
  const scheduler = createScheduler(limits, { ropeThreshold })
  const sequences = specs.map((spec, i) => new Sequence(i, spec))
  const computed = sequences.map((sequence) => {
    const counts: number[] = []
    scheduler.add(sequence)
    while (scheduler.stats().running + scheduler.stats().waiting > 0) {
      const [step, sampled] = runOne(scheduler, limits)
      counts.push(step.tokens)
      scheduler.commit(step, sampled)
    }
    scheduler.check()
    return counts
  })
  return { computed, sequences, stats: scheduler.stats() }
}

test('the next turn of a chat computes only its new words, and what did not fill a block', () => {
  const promptIds = mixed(1, 10)
  const first = specOf({ promptIds, maxNewTokens: 8 })
  const { sequences } = runAfter([first])
  // 17 of 18 tokens were computed, 16 of them in whole blocks of 4.
  const second = specOf({ promptIds: [...sequences[0].ids, 7, 8], maxNewTokens: 1 })
  const { computed, stats } = runAfter([first, second])
  assert.deepEqual(computed[1], [20 - 16])
  assert.deepEqual(stats.prefix, { tokens: 30, reused: 16 })
})

test('one token at least is computed, even of a prompt that is known to its end', () => {
  const spec = specOf({ promptIds: mixed(1, 8), maxNewTokens: 1 })
  assert.deepEqual(runAfter([spec, spec]).computed, [[8], [4]])
})

test('a prompt is not found under another salt', () => {
  const spec = (salt?: string) => specOf({ promptIds: mixed(1, 9), maxNewTokens: 1, ...(salt ? { salt } : {}) })
  const { computed } = runAfter([spec('a'), spec('b'), spec(), spec('a'), spec()])
  assert.deepEqual(computed.flat(), [9, 9, 9, 1, 1])
})

test('a prompt that is to be scored is computed whole, and may be found later', () => {
  const spec = (promptLogprobs: boolean) => specOf({ promptIds: mixed(1, 9), maxNewTokens: 1, promptLogprobs })
  assert.deepEqual(runAfter([spec(false), spec(true), spec(false)]).computed.flat(), [9, 9, 1])
})

test('where angles depend on lengths, rows are reused only among requests that gave them the same', () => {
  const spec = (n: number) => specOf({ promptIds: mixed(1, 24).slice(0, n), maxNewTokens: 1 })
  const specs = [spec(8), spec(9), spec(20), spec(24), spec(20)]
  assert.deepEqual(runAfter(specs, 10).computed.flat(), [8, 1, 20, 24, 4])
  assert.deepEqual(runAfter(specs).computed.flat(), [8, 1, 12, 4, 4])
})

test('what a failed request has computed is not reused', () => {
  const scheduler = createScheduler(limits)
  const spec = specOf({ promptIds: mixed(1, 9), maxNewTokens: 1 })
  scheduler.add(new Sequence(0, spec))
  const [step, sampled] = runOne(scheduler, limits)
  sampled.sampleStatus[0] = 1
  scheduler.commit(step, sampled)
  assert.deepEqual([scheduler.stats().blocks.cached, scheduler.stats().blocks.free], [0, 64])
  scheduler.check()
})

test('siblings compute their prompt once, and others pass while they wait for it', () => {
  const small = { ...limits, tokens: 8 }
  const scheduler = createScheduler(small)
  const promptIds = mixed(1, 22)
  for (const id of [0, 1, 2]) scheduler.add(new Sequence(id, specOf({ promptIds, maxNewTokens: 2 })))
  scheduler.add(new Sequence(3, specOf({ promptIds: mixed(2, 2), maxNewTokens: 8 })))
  const seen: string[] = []
  while (scheduler.stats().running + scheduler.stats().waiting > 0) {
    const [step, sampled] = runOne(scheduler, small)
    seen.push(step.slices.map((s) => `${s.sequence.id}:${s.start}+${s.count}`).join(' '))
    scheduler.commit(step, sampled)
    scheduler.check()
  }
  assert.deepEqual(seen.slice(0, 5), [
    '0:0+6 3:0+2',
    '0:6+7 3:2+1',
    '0:13+7 3:3+1',
    // All whole blocks of the prompt are there; the last tokens are everybody's own.
    '0:20+2 1:20+2 2:20+2 3:4+1',
    '0:22+1 1:22+1 2:22+1 3:5+1',
  ])
})

test('a preempted sequence finds its own blocks again', () => {
  const tight = { ...limits, blocks: 7, blockSize: 4 }
  const scheduler = createScheduler(tight)
  for (const id of [0, 1]) scheduler.add(new Sequence(id, specOf({ promptIds: mixed(id, 10), maxNewTokens: 10 })))
  while (scheduler.stats().preemptions === 0) scheduler.commit(...runOne(scheduler, tight))
  const { reused } = scheduler.stats().prefix
  while (scheduler.stats().running + scheduler.stats().waiting > 0) scheduler.commit(...runOne(scheduler, tight))
  assert.equal(reused, 0)
  assert(scheduler.stats().prefix.reused >= 4, 'nothing of what it had computed was found')
  scheduler.check()
})
