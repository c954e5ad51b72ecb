import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type ChildHostOptions, childUrl, startChildHost } from './child-host.ts'
import type { EngineHost } from './host.ts'
import type { EngineOptions, LoadProgress } from './spec.ts'
import { type Answer, bytesOf, read, specs } from './testing/answers.ts'
import { backends, tinyModel } from './testing/backends.ts'
import { gone, isAlive } from './testing/processes.ts'
import { specOf } from './testing/simulation.ts'

const embeddedModel = fileURLToPath(new URL('../../models/loquent-tiny', import.meta.url))
const options: EngineOptions = { model: tinyModel, backend: 'reference' }
const faulty = new URL(childUrl.href.replace('/child.', '/testing/faulty-child.'))

interface Lives {
  readonly pids: number[]
  readonly notices: string[]
}

/** A host and the processes it had. */
async function withHost(
  use: (host: EngineHost, lives: Lives) => Promise<void>,
  more: ChildHostOptions = {},
  change: Partial<EngineOptions> = {},
): Promise<void> {
  const lives: Lives = { pids: [], notices: [] }
  const host = await startChildHost({ ...options, ...change }, undefined, {
    onStart: (pid) => lives.pids.push(pid),
    onNotice: (text) => lives.notices.push(text),
    ...more,
  })
  try {
    await use(host, lives)
  } finally {
    await host.close()
    await gone(lives.pids)
  }
}

let undisturbed: Promise<Answer[]> | undefined
const expected = () => {
  undisturbed ??= (async () => {
    const all: Answer[] = []
    await withHost(async (host) => {
      for (const spec of specs) all.push(await read(host, spec))
    })
    return all
  })()
  return undisturbed
}

test('a model loads in a process with progress, answers, and closes', async () => {
  const progress: LoadProgress[] = []
  const pids: number[] = []
  const host = await startChildHost(options, (p) => progress.push(p), { onStart: (pid) => pids.push(pid) })
  assert.deepEqual([...new Set(progress.map((p) => p.stage))], ['open', 'weights', 'compile', 'ready'])
  assert.equal(host.facts.vocabulary, 131)
  assert.equal(host.state, 'serving')
  const { tokens, finish } = await read(host, specOf({ promptIds: [1, 5, 9], maxNewTokens: 4 }))
  assert.deepEqual([tokens.length, finish?.reason], [4, 'length'])
  const { steps, tokensGenerated, restarts, blocks } = await host.stats()
  assert.deepEqual([steps, tokensGenerated, restarts, blocks.held], [4, 4, 0, 0])
  const pending = read(host, specs[0])
  await Promise.all([assert.rejects(pending, { code: 'engine.stopped' }), host.close(), host.close()])
  await gone(pids)
  assert.equal(host.state, 'stopped')
  await assert.rejects(host.stats(), { code: 'engine.stopped' })
})

test('a load that fails says what it failed with, and leaves no process', async () => {
  const pids: number[] = []
  const onStart = (pid: number) => void pids.push(pid)
  const broken = { ...options, model: '/nowhere' }
  await assert.rejects(startChildHost(broken, undefined, { onStart }), { code: 'model.not_found' })
  await gone(pids)
  const entry = new URL('nowhere.js', childUrl)
  const notices: string[] = []
  const lost = startChildHost(options, undefined, { onStart, entry, onNotice: (text) => notices.push(text) })
  await assert.rejects(lost, { code: 'engine.stopped', message: /exit code 1/ })
  assert.match(notices.join('\n'), /^engine process: .*nowhere/m)
  await gone(pids)
})

test('streams go on with the same bytes when the engine is killed, twice, while 8 of them run', async () => {
  const before = await expected()
  await withHost(async (host, { pids, notices }) => {
    let events = 0
    const heard = () => {
      events++
      if (events === 100 || events === 250) process.kill(pids.at(-1)!, 'SIGKILL')
    }
    const answers = await Promise.all(specs.map((spec) => read(host, spec, heard)))
    assert.deepEqual(bytesOf(answers), bytesOf(before))
    assert.equal(pids.length, 3)
    assert.equal(notices.filter((text) => /died \(killed by SIGKILL\)/.test(text)).length, 2)
    const { restarts, tokensGenerated, running, waiting, blocks } = await host.stats()
    assert.deepEqual([restarts, running, waiting, blocks.held], [2, 0, 0, 0])
    assert(tokensGenerated >= 480, `${tokensGenerated} tokens were told`)
    for (const { finish } of answers) assert(finish!.timings.queue >= 0 && finish!.timings.inference > 0)
  })
})

for (const backend of backends.filter((name) => name !== 'reference')) {
  test(`${backend}: the same with the embedded model`, async () => {
    const longer = specs.map((spec) => ({ ...spec, maxNewTokens: 200 }))
    const embedded = { model: embeddedModel, backend }
    await withHost(
      async (host, { pids }) => {
        const before = await Promise.all(longer.map((spec) => read(host, spec)))
        let kills = 0
        const heard = () => {
          if (kills < Math.min(pids.length, 2)) process.kill(pids[kills++], 'SIGKILL')
        }
        const answers = await Promise.all(longer.map((spec) => read(host, spec, heard)))
        assert.deepEqual(bytesOf(answers), bytesOf(before))
        assert.equal(pids.length, 3)
      },
      {},
      embedded,
    )
  })
}

test('what waits in the queue, or comes while there is no engine, is answered by the next one', async () => {
  const before = await expected()
  await withHost(
    async (host, { pids }) => {
      const early = Promise.all(specs.slice(0, 5).map((spec) => read(host, spec)))
      await host.stats()
      process.kill(pids[0], 'SIGKILL')
      while (host.state === 'serving') await sleep(1)
      const aborted = new AbortController()
      const given = host.submit(specs[7], aborted.signal).next()
      const late = read(host, specs[6])
      const stats = host.stats()
      aborted.abort()
      await assert.rejects(given, { code: 'request.aborted' })
      assert.equal((await stats).restarts, 1)
      assert.deepEqual(bytesOf([...(await early), await late]), bytesOf([...before.slice(0, 5), before[6]]))
    },
    {},
    { maxBatchSize: 2 },
  )
})

test('a request that brings the engine down ends with a type, and every other one as if it had not been', async () => {
  const before = await expected()
  await withHost(
    async (host, { pids }) => {
      const poisoned = assert.rejects(read(host, specOf({ promptIds: [13, 5], maxNewTokens: 9 })), {
        code: 'engine.crashed',
        message: /SIGSEGV/,
      })
      const answers = await Promise.all(specs.map((spec) => read(host, spec)))
      await poisoned
      assert.deepEqual(bytesOf(answers), bytesOf(before))
      // Nine, then half of them each time, then alone, twice.
      assert(pids.length <= 8, `${pids.length} processes`)
      assert.deepEqual(bytesOf([await read(host, specs[1])]), bytesOf([before[1]]))
    },
    { entry: faulty },
  )
})

test('a request that is alone when it brings the engine down does so twice, not for ever', async () => {
  await withHost(
    async (host, { pids }) => {
      for (const lives of [3, 5]) {
        const poisoned = read(host, specOf({ promptIds: [13], maxNewTokens: 9 }))
        await assert.rejects(poisoned, { code: 'engine.crashed' })
        await host.stats()
        assert.equal(pids.length, lives)
      }
    },
    { entry: faulty },
  )
})

test('an engine that hangs is replaced', { skip: process.platform === 'win32' && 'no SIGSTOP' }, async () => {
  const before = await expected()
  await withHost(
    async (host, { pids, notices }) => {
      let stopped = false
      const answer = await read(host, specs[3], () => {
        if (!stopped) process.kill(pids[0], 'SIGSTOP')
        stopped = true
      })
      assert.deepEqual(bytesOf([answer]), bytesOf([before[3]]))
      assert.match(notices[1], /died \(it hung\)/)
    },
    { hangMs: 1200 },
  )
})

test('this process keeps nothing of the engines that died', async () => {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const heap = () => {
    collect()
    return process.memoryUsage().heapUsed
  }
  await withHost(async (host, { pids }) => {
    const crash = async () => {
      const requests = specs.slice(0, 3).map((spec) => host.submit(spec))
      await Promise.all(requests.map((request) => request.next()))
      process.kill(pids.at(-1)!, 'SIGKILL')
      await Promise.all(requests.map((request) => request.next()))
      await Promise.all(requests.map((request) => request.return()))
      await host.stats()
    }
    for (let i = 0; i < 2; i++) await crash()
    const [before, resources] = [heap(), process.getActiveResourcesInfo().length]
    for (let i = 0; i < 4; i++) await crash()
    assert.equal(pids.length, 7)
    assert.equal(process.getActiveResourcesInfo().length, resources)
    assert(heap() - before < 300_000, `${heap() - before} bytes more`)
  })
})

test('closing while there is no engine closes', async () => {
  await withHost(async (host, { pids }) => {
    process.kill(pids[0], 'SIGKILL')
    while (host.state === 'serving') await sleep(1)
    const pending = assert.rejects(read(host, specs[0]), { code: 'engine.stopped' })
    await Promise.all([host.close(), pending])
  })
})

/** Runs a host in a process of its own, which prints the pid of its engine and then does `then`. */
function parent(then: string) {
  const url = childUrl.href.replace('/child.', '/child-host.')
  const seeded = JSON.stringify({ ...specs[0], sampling: { ...specs[0].sampling, seed: null } })
  const source = `
    import { startChildHost } from ${JSON.stringify(url)}
    process.env.SECRET = 'x'
    const host = await startChildHost(${JSON.stringify(options)}, () => {}, { onStart: (pid) => console.log(pid) })
    const spec = ${seeded}
    spec.sampling.seed = 1n
    ${then}`
  return spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 30_000,
  })
}

async function firstPid(output: NodeJS.ReadableStream): Promise<number> {
  const [line] = await once(output, 'data')
  return Number(String(line).trim())
}

test('a process whose engine is idle ends by itself, and leaves nothing', async () => {
  const run = parent('for await (const e of host.submit(spec)) if (e.finish) console.log("done")')
  let output = ''
  run.stdout.on('data', (text) => {
    output += text
  })
  const [code] = await once(run, 'close')
  assert.deepEqual([code, output.split('\n').slice(1)], [0, ['done', '']])
  await gone([Number(output.split('\n')[0])])
})

test('a process that is killed takes its engine along, whatever that is doing', async () => {
  for (const then of ['setInterval(() => {}, 1000)', 'for (;;) for await (const e of host.submit(spec)) {}']) {
    const run = parent(then)
    const pid = await firstPid(run.stdout)
    await sleep(100)
    assert(isAlive(pid))
    run.kill('SIGKILL')
    await gone([pid])
  }
})

test('the engine process inherits nothing', { skip: process.platform !== 'linux' && 'no /proc' }, () =>
  withHost(async (_, { pids }) => {
    const listOf = (file: string) => readFileSync(`/proc/${pids[0]}/${file}`, 'utf8').split('\0').slice(0, -1)
    const names = listOf('environ').map((entry) => entry.split('=')[0])
    assert.deepEqual(names.sort(), ['NODE_CHANNEL_FD', 'NODE_CHANNEL_SERIALIZATION_MODE'])
    assert.equal(listOf('cmdline').length, 2, 'the module and nothing of ours')
  }),
)

test('the engine process leaves signals to its parent', { skip: process.platform === 'win32' && 'no signals' }, () =>
  withHost(async (host, { pids }) => {
    const answer = read(host, specs[0])
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(pids[0], signal)
    assert.equal((await answer).tokens.length, 60)
    assert.equal(pids.length, 1)
  }),
)
