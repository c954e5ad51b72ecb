import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createScheduler } from './scheduler.ts'
import { Sequence } from './sequence.ts'
import {
  mixed,
  nextToken,
  type RunResult,
  runAlone,
  runOne,
  sampleStep,
  smallLimits,
  specOf,
  takeEvents,
} from './testing/simulation.ts'

const limits = smallLimits({})

test('a prompt is computed in chunks and samples only at its end', () => {
  const scheduler = createScheduler({ ...limits, tokens: 4 })
  scheduler.add(new Sequence(1, specOf({ promptIds: [1, 2, 3, 4, 5, 6], maxNewTokens: 2 })))
  const seen: number[][] = []
  for (let step = scheduler.next(); step; step = scheduler.next()) {
    seen.push([step.tokens, step.samples])
    scheduler.commit(step, sampleStep(step, limits))
  }
  assert.deepEqual(seen, [
    [4, 0],
    [2, 1],
    [1, 1],
  ])
  scheduler.check()
})

test('running sequences advance in every step while a long prompt is computed', () => {
  const scheduler = createScheduler({ ...limits, tokens: 4, blocks: 64 })
  scheduler.add(new Sequence(1, specOf({ promptIds: [1], maxNewTokens: 8 })))
  scheduler.commit(...runOne(scheduler, limits))
  scheduler.add(new Sequence(2, specOf({ promptIds: mixed(9, 12), maxNewTokens: 1 })))
  for (let i = 0; i < 4; i++) {
    const [step, sampled] = runOne(scheduler, limits)
    assert.deepEqual(
      step.slices.map((s) => [s.sequence.id, s.count]),
      [
        [1, 1],
        [2, 3],
      ],
    )
    scheduler.commit(step, sampled)
  }
})

test('the last allowed token is reported as length even when it ends the text', () => {
  const promptIds = [3, 1, 4]
  const first = nextToken(promptIds)
  const second = nextToken([...promptIds, first])
  const finishOf = (maxNewTokens: number, eosIds: readonly number[]) =>
    runAlone(specOf({ promptIds, maxNewTokens, eosIds }), limits).finish
  assert.notEqual(first, second)
  assert.equal(finishOf(2, [second]), 'length')
  assert.equal(finishOf(3, [second]), 'eos_token')
  assert.equal(finishOf(2, [first]), 'eos_token')
  assert.equal(finishOf(1, [first]), 'length')
})

test('prompt log-probabilities come with the first token, one for each prompt token but the first', () => {
  const promptIds = mixed(5, 11)
  for (const [tokens, samples] of [
    [64, 64],
    [64, 3],
    [2, 64],
    [1, 1],
  ]) {
    const result = runAlone(specOf({ promptIds, maxNewTokens: 3, promptLogprobs: true }), {
      ...limits,
      tokens,
      samples,
    })
    const expected = promptIds.map((id, i) => (i === 0 ? null : Math.fround(-id - i / 64)))
    assert.deepEqual(result.promptLogprobs, expected, `budgets ${tokens}, ${samples}`)
    assert.equal(result.ids.length, 3)
  }
})

test('a scored prompt that is computed again after its first token is not scored again', () => {
  const sequence = new Sequence(1, specOf({ promptIds: mixed(5, 6), maxNewTokens: 4, promptLogprobs: true }))
  const scheduler = createScheduler(limits)
  scheduler.add(sequence)
  const [first, sampled] = runOne(scheduler, limits)
  scheduler.commit(first, sampled)
  sequence.computed = 0
  assert.deepEqual([first.samples, scheduler.next()?.samples], [6, 1])
})

test('alternatives are read from the row of their token', () => {
  const result = runAlone(specOf({ promptIds: [8, 9], maxNewTokens: 2, topTokens: 2 }), limits)
  assert.deepEqual(
    result.tokens.map((t) => t.top.map((x) => x.id)),
    result.ids.map((id) => [id, id + 1]),
  )
})

test('sequences that could never run are refused with the reason', () => {
  const scheduler = createScheduler({ ...limits, context: 10, blocks: 2, blockSize: 4 })
  const refused = (spec: Parameters<typeof specOf>[0], reason: RegExp) =>
    assert.throws(() => scheduler.add(new Sequence(1, specOf(spec))), { code: 'request.invalid', message: reason })
  refused({ promptIds: [], maxNewTokens: 1 }, /no tokens/)
  refused({ promptIds: [1], maxNewTokens: 0 }, /at least 1/)
  refused({ promptIds: mixed(1, 8), maxNewTokens: 3 }, /8 prompt tokens and 3 new ones are more than the 10/)
  refused({ promptIds: mixed(1, 8), maxNewTokens: 2 }, /never fit the KV cache of 8 tokens/)
  scheduler.add(new Sequence(2, specOf({ promptIds: mixed(1, 7), maxNewTokens: 2 })))
  while (scheduler.stats().waiting + scheduler.stats().running > 0) scheduler.commit(...runOne(scheduler, limits))
  scheduler.check()
})

test('when blocks run out the youngest is preempted, and says the same as alone', () => {
  const tight = { ...limits, blocks: 6, blockSize: 2 }
  const specs = [1, 2, 3].map((i) => specOf({ promptIds: mixed(i, 2), maxNewTokens: 8 }))
  const scheduler = createScheduler(tight)
  for (const [i, spec] of specs.entries()) scheduler.add(new Sequence(i, spec))
  const results: RunResult[] = []
  while (scheduler.stats().waiting + scheduler.stats().running > 0) {
    takeEvents(results, scheduler.commit(...runOne(scheduler, tight)))
    scheduler.check()
  }
  assert(scheduler.stats().preemptions > 0, 'nobody was preempted: the arena is not tight enough')
  for (const [i, spec] of specs.entries()) assert.deepEqual(results[i], runAlone(spec, limits))
})

test('a failed row ends its sequence alone', () => {
  const scheduler = createScheduler(limits)
  for (const id of [0, 1, 2]) scheduler.add(new Sequence(id, specOf({ promptIds: [id + 1, 7], maxNewTokens: 2 })))
  const results: RunResult[] = []
  const [step, sampled] = runOne(scheduler, limits)
  sampled.sampleStatus[1] = 1
  takeEvents(results, scheduler.commit(step, sampled))
  assert.equal(scheduler.stats().running, 2)
  takeEvents(results, scheduler.commit(...runOne(scheduler, limits)))
  assert.deepEqual(
    results.map((r) => [r.ids.length, r.finish, r.error?.code]),
    [
      [2, 'length', undefined],
      [0, undefined, 'engine.row_failed'],
      [2, 'length', undefined],
    ],
  )
  scheduler.check()
})

test('an abort between next and commit frees the blocks and gives no events', () => {
  const scheduler = createScheduler(limits)
  for (const id of [0, 1]) scheduler.add(new Sequence(id, specOf({ promptIds: mixed(id, 5), maxNewTokens: 4 })))
  const [step, sampled] = runOne(scheduler, limits)
  assert.equal(scheduler.abort(0), true)
  scheduler.check()
  assert.deepEqual(
    scheduler.commit(step, sampled).map((e) => e.id),
    [1],
  )
  assert.equal(scheduler.abort(1), true)
  assert.equal(scheduler.abort(1), false)
  assert.equal(scheduler.next(), null)
  assert.equal(scheduler.stats().blocks.held, 0)
  scheduler.check()
})
