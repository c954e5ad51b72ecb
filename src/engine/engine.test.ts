import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Backend } from '../backends/contract.ts'
import { openBackend } from '../backends/select.ts'
import { Engine, maxWaiting } from './engine.ts'
import type { Runner } from './runner.ts'
import { createScheduler } from './scheduler.ts'
import type { EngineOptions, GenerateSpec } from './spec.ts'
import { backends, tinyModel } from './testing/backends.ts'
import { type Answer, type Listener, listener, withEngine } from './testing/listener.ts'
import { mixed, randomOf, smallLimits, specOf } from './testing/simulation.ts'

/** Requests of many kinds: greedy and drawn, penalised, scored, with alternatives, short and long. */
function variousSpecs(n: number): GenerateSpec[] {
  return Array.from({ length: n }, (_, i) => {
    const random = randomOf(i + 1)
    const plain = specOf({}).sampling
    return specOf({
      promptIds: mixed(i, 1 + random(40)),
      maxNewTokens: 1 + random(60),
      eosIds: [2, 126],
      topTokens: random(4),
      promptLogprobs: i % 3 === 0,
      sampling: i % 2 ? { ...plain, sampling: true, seed: BigInt(i), topK: 20, repetitionPenalty: 1.1 } : plain,
    })
  })
}

for (const backend of backends) {
  test(`${backend}: a request says the same alone, in a batch of 16, chunked by any budget, and preempted`, async () => {
    const specs = variousSpecs(16)
    const ids = specs.map((_, i) => i)
    const alone = await withEngine({ backend }, async (engine, { ended }) => {
      const answers: Answer[] = []
      for (const id of ids) {
        engine.submit(id, specs[id])
        answers.push(...(await ended([id])))
      }
      return answers
    })
    assert(alone.some((a) => a.reason === 'eos_token') && alone.some((a) => a.reason === 'length'))
    const together = (options: Partial<EngineOptions>) =>
      withEngine({ backend, ...options }, async (engine, { ended }) => {
        for (const id of ids) engine.submit(id, specs[id])
        const answers = await ended(ids)
        return { answers, preemptions: engine.stats().preemptions }
      })
    for (const maxBatchPrefillTokens of [1, 7, 64, 512]) {
      const { answers } = await together({ maxBatchPrefillTokens })
      assert.deepEqual(answers, alone, `budget ${maxBatchPrefillTokens}`)
    }
    const tight = await together({ maxBatchTotalTokens: 128, maxTotalTokens: 100, maxSamples: 6 })
    assert(tight.preemptions > 0, 'the KV cache was not tight enough to preempt')
    assert.deepEqual(tight.answers, alone, 'preempted')
  })

  test(`${backend}: a request whose logits are not finite fails alone, and leaves no trace in the cache`, async () => {
    const poison = 77
    const model = poisoned(poison)
    const specs = variousSpecs(6)
    const run = (others: readonly GenerateSpec[]) =>
      withEngine({ backend, model, maxBatchTotalTokens: 128 }, async (engine, { ended }) => {
        for (const [i, spec] of others.entries()) engine.submit(100 + i, spec)
        for (const [id, spec] of specs.entries()) engine.submit(id, spec)
        const failed = await ended(others.map((_, i) => 100 + i))
        return { failed, answers: await ended(specs.map((_, i) => i)) }
      })
    const bad = [specOf({ promptIds: [3, poison, 5] }), specOf({ promptIds: mixed(5, 30).with(20, poison) })]
    const { failed, answers } = await run(bad)
    assert.deepEqual(
      failed.map((f) => f.error),
      ['engine.row_failed', 'engine.row_failed'],
    )
    assert.deepEqual(answers, (await run([])).answers)
    assert(answers.every((a) => a.reason))
  })

  test(`${backend}: a request that breaks the step fails alone, and the others say the same bytes`, async () => {
    const poison = 77
    const open: typeof openBackend = (options) => {
      const opened = openBackend(options)
      const whole = opened.backend.run.bind(opened.backend)
      const run: Backend['run'] = async (plan, frame) => {
        const stats = await whole(plan, frame)
        // What was computed is thrown away; what it wrote into the cache stays.
        if (frame.tokenIds.subarray(0, frame.counts[0]).includes(poison)) throw new Error('the device fell off')
        return stats
      }
      Object.assign(opened.backend, { run })
      return opened
    }
    const specs = variousSpecs(8).map((s) => ({ ...s, promptIds: s.promptIds.map((id) => (id === poison ? 1 : id)) }))
    const run = (bad: readonly GenerateSpec[]) =>
      withEngine(
        { backend, maxBatchTotalTokens: 256, maxBatchPrefillTokens: 32 },
        async (engine, { ended }) => {
          for (const [id, spec] of specs.entries()) {
            engine.submit(id, spec)
            if (bad[id]) engine.submit(100 + id, bad[id])
          }
          const failed = await ended(bad.map((_, i) => 100 + i))
          const answers = await ended(specs.map((_, i) => i))
          assert.equal(engine.stats().requests.failed, failed.filter((f) => f.error).length)
          return { failed: failed.map((f) => f.error), answers }
        },
        open,
      )
    const bad = [specOf({ promptIds: [poison] }), specOf({ promptIds: mixed(5, 70).with(60, poison) })]
    const { failed, answers } = await run(bad)
    assert.deepEqual(failed, ['backend.failed', 'backend.failed'])
    assert.deepEqual(answers, (await run([])).answers)
    assert(answers.some((a) => a.reason))
  })
}

const scratch = mkdtempSync(join(tmpdir(), 'loquent-engine-'))
before(() => cpSync(tinyModel, scratch, { recursive: true }))
after(() => rmSync(scratch, { recursive: true }))

/** The tiny model with one row of its embedding overwritten by NaN. */
function poisoned(id: number): string {
  const path = join(scratch, 'model.safetensors')
  const file = readFileSync(path)
  const header = Number(file.readBigUInt64LE(0))
  const { data_offsets, shape } = JSON.parse(file.toString('utf8', 8, 8 + header))['model.embed_tokens.weight']
  const start = 8 + header + data_offsets[0] + id * shape[1] * 4
  for (let i = 0; i < shape[1]; i++) file.writeFloatLE(Number.NaN, start + 4 * i)
  writeFileSync(path, file)
  return scratch
}

test('an abort frees the blocks at once, wherever the request is', async () => {
  await withEngine({ backend: 'reference', maxBatchSize: 2 }, async (engine, { ended, answers }) => {
    for (const id of [0, 1, 2, 3]) engine.submit(id, specOf({ promptIds: mixed(id, 20), maxNewTokens: 60 }))
    while (!answers.has(0)) await new Promise(setImmediate)
    assert.deepEqual([engine.stats().running, engine.stats().waiting], [2, 2])
    engine.abort(0)
    engine.abort(3)
    assert.deepEqual([engine.stats().running, engine.stats().waiting], [1, 1])
    await ended([1, 2])
    assert.deepEqual([engine.stats().running, engine.stats().blocks.held], [0, 0])
    assert(answers.get(0)!.tokens.length < 60 && !answers.has(3))
  })
})

test('a thousand requests that leave at random moments leave nothing behind, and are counted', async () => {
  await withEngine({ backend: backends.at(-1)!, maxBatchTotalTokens: 512 }, async (engine, { answers }) => {
    const random = randomOf(7)
    const specs = variousSpecs(40)
    const total = 1000
    for (let id = 0; id < total; id++) {
      engine.submit(id, specs[id % specs.length])
      if (random(4) === 0) await new Promise(setImmediate)
      engine.abort(random(id + 1))
    }
    for (let id = 0; id < total; id++) engine.abort(id)
    assert.equal(engine.stats().blocks.held, 0)
    while (engine.stats().cancels.count < engine.stats().requests.aborted) await new Promise(setImmediate)
    const { requests, running, waiting, cancels } = engine.stats()
    const { submitted, finished, aborted, failed } = requests
    assert.deepEqual([submitted, running, waiting, failed], [total, 0, 0, 0])
    assert.equal(finished + aborted, total)
    assert.equal([...answers.values()].filter((a) => a.reason).length, finished)
    assert.equal(cancels.count, aborted)
  })
})

test('an idle engine does nothing', async () => {
  await withEngine({ backend: 'reference' }, async (engine, { ended }) => {
    engine.submit(0, specOf({}))
    await ended([0])
    await new Promise((resolve) => setTimeout(resolve, 5))
    const { steps } = engine.stats()
    const busy = () => process.getActiveResourcesInfo().filter((r) => r === 'Immediate' || r === 'Timeout').length
    const waiting = new Promise((resolve) => setTimeout(resolve, 20))
    assert.equal(busy(), 1, 'something besides the timer of this test is scheduled')
    await waiting
    assert.equal(engine.stats().steps, steps)
  })
})

test('what cannot run is refused with a word, and costs the others nothing', async () => {
  await withEngine({ backend: 'reference' }, async (engine, { ended }) => {
    const plain = specOf({}).sampling
    const bad = [
      { promptIds: [131] },
      { promptIds: [-1] },
      { promptIds: [0.5] },
      { promptIds: [] },
      { maxNewTokens: 128 },
      { topTokens: 21 },
      { sampling: { ...plain, temperature: 0 } },
      { sampling: { ...plain, topP: Number.NaN } },
      { sampling: { ...plain, topK: -1 } },
    ]
    engine.submit(100, specOf({}))
    for (const [id, change] of bad.entries()) engine.submit(id, specOf(change))
    const answers = await ended([...bad.keys(), 100])
    assert.deepEqual(
      answers.map((a) => a.error ?? a.reason),
      [...bad.map(() => 'request.invalid'), 'length'],
    )
  })
})

/** An engine whose backend fails in the steps that `fails` names; the rest is real. */
function failingEngine(heard: Listener, fails: (step: number) => boolean, milliseconds = 0): Engine {
  const limits = smallLimits({ sequences: 2 })
  let steps = 0
  const sampled = { sampleStatus: new Int32Array(16), chosen: new Int32Array(16), chosenLogprobs: new Float32Array(16) }
  const none = { topCounts: new Int32Array(16), topIds: new Int32Array(0), topLogprobs: new Float32Array(0) }
  const runner: Runner = {
    run: async () => {
      if (milliseconds) await new Promise((resolve) => setTimeout(resolve, milliseconds))
      if (fails(steps++)) throw new Error('the device fell off')
      return { ...sampled, ...none }
    },
    close: () => {},
  }
  const facts = { architecture: '', vocabulary: 50, maxTotalTokens: 64, maxTopTokens: 4, backend: '', dtype: '' }
  return new Engine({ ...facts, blockTokens: 16, eosIds: [] }, runner, createScheduler(limits), heard.emit)
}

test('a step that fails once is run again, and costs nobody anything', async () => {
  const heard = listener()
  const engine = failingEngine(heard, (step) => step === 1)
  for (const id of [0, 1, 2, 3]) engine.submit(id, specOf({ maxNewTokens: 3 }))
  const answers = await heard.ended([0, 1, 2, 3])
  assert.deepEqual(
    answers.map((a) => [a.tokens.length, a.error ?? a.reason]),
    Array(4).fill([3, 'length']),
  )
  await engine.close()
})

test('a backend that fails in every step ends what it was given, and nothing else', async () => {
  const heard = listener()
  const engine = failingEngine(heard, (step) => step < 3)
  for (const id of [0, 1, 2, 3]) engine.submit(id, specOf({ maxNewTokens: 3 }))
  const answers = await heard.ended([0, 1, 2, 3])
  assert.deepEqual(
    answers.map((a) => [a.tokens.length, a.error ?? a.reason]),
    [
      [0, 'backend.failed'],
      [0, 'backend.failed'],
      [3, 'length'],
      [3, 'length'],
    ],
  )
  assert.equal(engine.stats().blocks.held, 0)
  await engine.close()
})

test('an abort is counted when the step that still writes to its blocks is over', async () => {
  const heard = listener()
  const engine = failingEngine(heard, () => false, 10)
  for (const id of [0, 1, 2]) engine.submit(id, specOf({ maxNewTokens: 50 }))
  while (!heard.answers.has(0)) await new Promise(setImmediate)
  engine.abort(0)
  engine.abort(2)
  engine.abort(2)
  assert.deepEqual([engine.stats().cancels.count, engine.stats().cancels.longest], [1, 0])
  while (engine.stats().cancels.count < 2) await new Promise(setImmediate)
  const { cancels, requests, running, waiting } = engine.stats()
  assert(cancels.longest > 0 && cancels.total === cancels.longest, `freed after ${cancels.longest} ms`)
  assert.deepEqual(requests, { submitted: 3, refused: 0, finished: 0, aborted: 2, failed: 0 })
  assert.deepEqual([running, waiting], [1, 0])
  await engine.close()
  assert.equal(engine.stats().requests.failed, 1)
})

test('time that is used up ends a request with its next token, or with an error where there is none', async () => {
  const heard = listener()
  const engine = failingEngine(heard, () => false, 10)
  for (const id of [0, 1]) engine.submit(id, specOf({ maxNewTokens: 50, maxTimeMs: 35 }))
  engine.submit(2, specOf({ maxNewTokens: 50, maxTimeMs: 1 }))
  const [first, second, third] = await heard.ended([0, 1, 2])
  assert.deepEqual([first.reason, second.reason, third.error], ['length', 'length', 'request.expired'])
  assert(first.tokens.length > 0 && first.tokens.length < 10, `${first.tokens.length} tokens`)
  // In the middle of a prompt.
  engine.submit(3, specOf({ promptIds: mixed(3, 60), maxNewTokens: 1, maxTimeMs: 15 }))
  assert.equal((await heard.ended([3]))[0].error, 'request.expired')
  const { requests, blocks } = engine.stats()
  assert.deepEqual(requests, { submitted: 4, refused: 0, finished: 2, aborted: 0, failed: 2 })
  assert.equal(blocks.held, 0)
  await engine.close()
})

test('a request is told how long it waited and how long it ran', async () => {
  const heard = listener()
  const engine = failingEngine(heard, () => false, 10)
  for (const id of [0, 1, 2]) engine.submit(id, specOf({ maxNewTokens: 4 }))
  await heard.ended([0, 1, 2])
  const [first, third] = [heard.timings.get(0)!, heard.timings.get(2)!]
  // Two run at a time, so the third waits for four steps more. Timers may fire a millisecond early.
  assert(first.queue >= 0 && third.queue - first.queue >= 36, `queue ${first.queue}, ${third.queue}`)
  assert(first.inference >= 36 && third.inference >= 36, `inference ${first.inference}, ${third.inference}`)
  await engine.close()
})

test('closing fails what is pending, and refuses what comes after', async () => {
  const heard = listener()
  const engine = failingEngine(heard, () => false)
  for (const id of [0, 1, 2]) engine.submit(id, specOf({ maxNewTokens: 50 }))
  while (!heard.answers.has(0)) await new Promise(setImmediate)
  await Promise.all([engine.close(), engine.close()])
  engine.submit(3, specOf({}))
  const answers = await heard.ended([0, 1, 2, 3])
  assert(answers.every((a) => a.error === 'engine.stopped'))
  assert.equal(engine.stats().blocks.held, 0)
})

test('more requests than may wait are refused as overload', async () => {
  const heard = listener()
  const engine = failingEngine(heard, () => false)
  for (let id = 0; id <= maxWaiting; id++) engine.submit(id, specOf({}))
  assert.deepEqual([...heard.answers], [[maxWaiting, { tokens: [], error: 'engine.overloaded' }]])
  await engine.close()
})

test('a stretch that leaves prompts no room is refused', async () => {
  for (const prefillStretch of [1, -2, Number.NaN]) {
    await assert.rejects(
      withEngine({ prefillStretch }, async () => {}),
      { code: 'option.invalid', message: /prefillStretch/ },
    )
  }
})

test('a request that is submitted on hearing the end of another runs', async () => {
  const heard = listener()
  let more = true
  const engine: Engine = failingEngine(
    {
      ...heard,
      emit: (events) => {
        heard.emit(events)
        if (more && events.some((event) => 'events' in event && event.events.finish)) engine.submit(1, specOf({}))
        more = false
      },
    },
    () => false,
  )
  engine.submit(0, specOf({ maxNewTokens: 1 }))
  const answers = await heard.ended([0, 1])
  assert.deepEqual(
    answers.map((a) => a.reason),
    ['length', 'length'],
  )
  await engine.close()
})
