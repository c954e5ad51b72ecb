import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import type { Worker } from 'node:worker_threads'
import type { EngineHost } from './host.ts'
import type { EngineOptions, GenerateSpec, LoadProgress, TokenEvents } from './spec.ts'
import { type Answer, bytesOf, read as readAnswer, specs } from './testing/answers.ts'
import { backends, tinyModel } from './testing/backends.ts'
import { mixed, specOf } from './testing/simulation.ts'
import { startWorkerHost, type WorkerHostOptions, workerUrl } from './worker-host.ts'

// Node (20 to 24 at least) aborts now and then when a worker ends while V8 still optimizes its code on another thread; these tests
// end dozens of them, at the busiest moments.
setFlagsFromString('--no-concurrent-recompilation')

const options: EngineOptions = { model: tinyModel, backend: 'reference' }
const faulty = new URL(workerUrl.href.replace('/worker.', '/testing/faulty-worker.'))
const long = specOf({ promptIds: mixed(1, 30), maxNewTokens: 90 })

async function read(host: EngineHost, spec: GenerateSpec, signal?: AbortSignal): Promise<TokenEvents[]> {
  const all: TokenEvents[] = []
  for await (const events of host.submit(spec, signal)) all.push(events)
  return all
}

async function withHost(use: (host: EngineHost) => Promise<void>, more: Partial<EngineOptions> = {}): Promise<void> {
  const host = await startWorkerHost({ ...options, ...more })
  try {
    await use(host)
  } finally {
    await host.close()
  }
}

/** Waits until nothing runs or waits in the engine; fails when that takes long. */
async function drained(host: EngineHost): Promise<void> {
  for (let i = 0; i < 500; i++) {
    const { running, waiting, blocks } = await host.stats()
    if (running + waiting === 0) return assert.equal(blocks.held, 0)
    await sleep(2)
  }
  assert.fail('requests are still there')
}

test('a model loads on a thread with progress, answers, and closes', async () => {
  const progress: LoadProgress[] = []
  const host = await startWorkerHost(options, (p) => progress.push(p))
  assert.deepEqual([...new Set(progress.map((p) => p.stage))], ['open', 'weights', 'compile', 'ready'])
  assert(progress.every((p) => p.fraction >= 0 && p.fraction <= 1))
  assert.equal(host.facts.vocabulary, 131)
  assert.deepEqual(host.facts.eosIds, [2])
  const events = await read(host, specOf({ promptIds: [1, 5, 9], maxNewTokens: 4, promptLogprobs: true, topTokens: 2 }))
  assert.equal(events.length, 4)
  assert.equal(events[0].promptLogprobs?.length, 3)
  assert(events.every((e) => e.tokens.length === 1 && e.tokens[0].top[0].id === e.tokens[0].id))
  const { reason, timings } = events[3].finish!
  assert.equal(reason, 'length')
  assert(timings.queue >= 0 && timings.inference > 0)
  const stats = await host.stats()
  assert.deepEqual([stats.steps, stats.tokensGenerated, stats.running], [4, 4, 0])
  await Promise.all([host.close(), host.close()])
  await assert.rejects(read(host, long), { code: 'engine.stopped' })
})

test('many requests at once end as each does alone', () =>
  withHost(async (host) => {
    const specs = Array.from({ length: 12 }, (_, i) => specOf({ promptIds: mixed(i, 3 + i), maxNewTokens: 10 }))
    const idsOf = (events: TokenEvents[]) => events.flatMap((e) => e.tokens.map((t) => t.id))
    const together = (await Promise.all(specs.map((spec) => read(host, spec)))).map(idsOf)
    for (const [i, spec] of specs.entries()) assert.deepEqual(together[i], idsOf(await read(host, spec)))
  }))

test('cancelling frees a request before it starts, in the queue, while it runs, and by leaving its loop', () =>
  withHost(
    async (host) => {
      await assert.rejects(read(host, long, AbortSignal.abort()), { code: 'request.aborted' })
      assert.equal((await host.stats()).steps, 0)
      const running = new AbortController()
      const queued = new AbortController()
      const runs = host.submit(long, running.signal)
      await runs.next()
      const waits = read(host, long, queued.signal)
      queued.abort()
      await assert.rejects(waits, { code: 'request.aborted' })
      running.abort()
      await assert.rejects(runs.next(), { code: 'request.aborted' })
      await drained(host)
      for await (const _ of host.submit(long)) break
      await drained(host)
      const { tokensGenerated } = await host.stats()
      assert(tokensGenerated < 90, `${tokensGenerated} tokens: the requests ran on`)
    },
    { maxBatchSize: 1 },
  ))

test('closing fails what is pending with a type', async () => {
  const host = await startWorkerHost(options)
  const pending = read(host, long)
  const stats = host.stats()
  await Promise.all([
    assert.rejects(pending, { code: 'engine.stopped' }),
    assert.rejects(stats, { code: 'engine.stopped' }),
    host.close(),
  ])
})

test('a load that fails says what it failed with', async () => {
  await assert.rejects(startWorkerHost({ ...options, model: '/nowhere' }), { code: 'model.not_found' })
  await assert.rejects(startWorkerHost({ ...options, maxTotalTokens: 1e6 }), { code: 'option.invalid' })
  // 160 bytes of keys and values a token and layer: more than any machine that runs tests has.
  const huge = startWorkerHost({ ...options, maxBatchTotalTokens: 2 ** 31 - 1 })
  await assert.rejects(huge, { code: 'engine.memory', message: /KV cache \d+ MiB.*maxBatchTotalTokens/ })
})

/** A host and the threads it had. */
async function withThreads(
  use: (host: EngineHost, workers: Worker[], notices: string[]) => Promise<void>,
  more: WorkerHostOptions = {},
  change: Partial<EngineOptions> = {},
): Promise<void> {
  const workers: Worker[] = []
  const notices: string[] = []
  const host = await startWorkerHost({ ...options, ...change }, undefined, {
    onStart: (worker) => workers.push(worker),
    onNotice: (text) => notices.push(text),
    ...more,
  })
  try {
    await use(host, workers, notices)
  } finally {
    await host.close()
  }
}

/** Answers of an engine that nothing happens to, of one request after another. */
async function calm(change: Partial<EngineOptions> = {}): Promise<Answer[]> {
  const answers: Answer[] = []
  await withThreads(
    async (host) => {
      for (const spec of specs) answers.push(await readAnswer(host, spec))
    },
    {},
    change,
  )
  return answers
}

for (const backend of backends) {
  test(`${backend}: streams go on with the same bytes when their thread is terminated, twice, while 8 of them run`, async () => {
    const before = await calm({ backend })
    await withThreads(
      async (host, workers, notices) => {
        let kills = 0
        // As soon as a thread is heard of: they are quick, and killing takes a moment.
        const heard = () => {
          if (kills < 2 && workers.length === kills + 1) void workers[kills++]!.terminate()
        }
        const answers = await Promise.all(specs.map((spec) => readAnswer(host, spec, heard)))
        assert.deepEqual(bytesOf(answers), bytesOf(before))
        assert.equal(workers.length, 3)
        assert.match(
          notices[0]!,
          /^the engine thread died \(its thread ended with code 1\); starting it again, 8 requests/,
        )
        const { restarts, running, waiting, blocks } = await host.stats()
        assert.deepEqual([restarts, running, waiting, blocks.held], [2, 0, 0, 0])
      },
      {},
      { backend },
    )
  })

  test(`${backend}: a process whose engine is idle ends by itself`, async () => {
    const source = `
    import { startWorkerHost } from ${JSON.stringify(new URL(workerUrl.href.replace('/worker.', '/worker-host.')).href)}
    const host = await startWorkerHost(${JSON.stringify({ ...options, backend })})
    const spec = ${JSON.stringify({ ...long, maxNewTokens: 3, sampling: { ...long.sampling, seed: null } })}
    spec.sampling.seed = 1n
    for await (const e of host.submit(spec)) console.log(e.tokens.length)`
    const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', source], { timeout: 20_000 })
    assert.equal((await run).stdout, '1\n1\n1\n')
  })
}

for (const [name, first, reason] of [
  ['an exception in the loop', 13, /a fault in the loop/],
  ['process.exit', 14, /ended with code 7/],
] as const) {
  test(`a request that is followed by ${name} ends with a type, and every other one as if it had not been`, async () => {
    const before = await calm()
    await withThreads(
      async (host, workers) => {
        const poisoned = readAnswer(host, specOf({ promptIds: [first, 5], maxNewTokens: 9 }))
        const failed = assert.rejects(poisoned, { code: 'engine.crashed', message: reason })
        const answers = await Promise.all(specs.map((spec) => readAnswer(host, spec)))
        await failed
        assert.deepEqual(bytesOf(answers), bytesOf(before))
        // Nine, then half of them each time, then alone, twice.
        assert(workers.length <= 8, `${workers.length} threads`)
        assert.equal((await host.stats()).restarts, workers.length - 1)
      },
      { entry: faulty },
    )
  })
}

/** Address space of this process in MiB, and its threads. */
function held(): readonly [number, number] {
  const status = readFileSync('/proc/self/status', 'utf8')
  return [Number(/VmSize:\s+(\d+)/.exec(status)![1]) / 1024, Number(/Threads:\s+(\d+)/.exec(status)![1])]
}

const noProc = process.platform !== 'linux' && 'no /proc'
for (const backend of backends.filter((name) => name !== 'reference')) {
  test(`${backend}: of an engine whose thread died nothing is left`, { skip: noProc }, async () => {
    // Some hundred MiB that each engine reserves.
    const cache = { backend, maxBatchTotalTokens: 2 ** 20 }
    await withThreads(
      async (host, workers) => {
        const die = async () => {
          const pending = host.submit(long)
          await pending.next()
          await workers.at(-1)!.terminate()
          await pending.next()
          await pending.return()
          await host.stats()
        }
        await die()
        const [size, threads] = held()
        for (let i = 0; i < 4; i++) await die()
        const [more, moreThreads] = held()
        // Less than if each of four had left one thread, or its cache; allocators and pools of the runtime grow a little.
        assert(moreThreads - threads < 4, `${moreThreads - threads} threads more`)
        assert(more - size < 1000, `${more - size} MiB more`)
      },
      {},
      cache,
    )
  })
}
