import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fail, LoquentError } from '../base/errors.ts'
import type { EngineStats } from '../library/index.ts'
import { Health } from './health.ts'
import { LiveServer, rawPost, until } from './testing/live-server.ts'
import { ScriptedLLM } from './testing/scripted-llm.ts'

const deadlineMs = 60

/** Health over a scripted model, whose statistics and canary the test sets. */
function healthHere() {
  const llm = new ScriptedLLM()
  let stats = { running: 0, waiting: 0, steps: 0, restarts: 0 }
  let canaries = 0
  let sing = () => llm.stream('a', { maxNewTokens: 1 })
  llm.onStats = async () => stats as EngineStats
  llm.generate = async () => {
    canaries++
    for await (const { final } of sing()) if (final) return final
    return fail('request.aborted')
  }
  return {
    llm,
    health: new Health(llm, deadlineMs),
    canaries: () => canaries,
    engine: (change: Partial<typeof stats>) => {
      stats = { ...stats, ...change }
    },
    canary: (next: () => ReturnType<ScriptedLLM['stream']>) => {
      sing = next
    },
  }
}

const failing = (code: 'engine.overloaded' | 'backend.failed') => () => {
  throw new LoquentError(code, { reason: 'x' })
}

test('an idle engine is ready when it gives a token, which counts for a while', async () => {
  const { health, canaries } = healthHere()
  assert.deepEqual(await Promise.all([health.ready(), health.ready(), health.live()]), [true, true, true])
  assert.equal(await health.ready(), true)
  assert.equal(canaries(), 1)
})

test('an engine that lives and gives no token is not ready', async () => {
  const { llm, health, canary, engine } = healthHere()
  canary(failing('backend.failed'))
  assert.deepEqual([await health.ready(), await health.live()], [false, true])
  engine({ running: 3 })
  assert.equal(await health.ready(), false, 'nor when somebody tries all the same')
  canary(() => llm.stream('a', { maxNewTokens: 1 }))
  engine({ restarts: 1, running: 0 })
  assert.equal(await health.ready(), true, 'the verdict on the engine before does not count')
  canary(() => llm.stream('hang'))
  engine({ restarts: 2 })
  const first = health.ready()
  await health.live()
  engine({ running: 1 })
  assert.deepEqual(await Promise.all([first, health.ready()]), [false, false], 'our own request keeps nobody busy')
})

test('a full engine is well: nobody waits for a token of our own', async () => {
  const { llm, health, canary, engine, canaries } = healthHere()
  engine({ running: 8, waiting: 100 })
  canary(() => llm.stream('hang'))
  for (let steps = 1; steps < 4; steps++) {
    engine({ steps })
    const start = performance.now()
    assert.deepEqual([await health.ready(), await health.live()], [true, true])
    assert.ok(performance.now() - start < deadlineMs, 'it answers at once')
  }
  assert.equal(canaries(), 1)
  const other = healthHere()
  other.canary(failing('engine.overloaded'))
  assert.equal(await other.health.ready(), true)
})

test('an engine that has requests and does no step is soon not ready, and at last not alive', async (t) => {
  let now = 0
  t.mock.method(performance, 'now', () => now)
  const { health, engine } = healthHere()
  const both = () => Promise.all([health.live(), health.ready()])
  engine({ running: 1, steps: 7 })
  assert.deepEqual(await both(), [true, true])
  now += 60_000
  assert.deepEqual(await both(), [true, false])
  now += 600_000
  assert.deepEqual(await both(), [false, false])
  engine({ steps: 8 })
  assert.deepEqual(await both(), [true, true])
  engine({ running: 0 })
  now += 700_000
  assert.deepEqual(await both(), [true, true], 'one that has none does none')
  engine({ running: 1 })
  now += 700_000
  assert.deepEqual(await both(), [true, true], 'nor one that was just given some')
})

test('an engine that is started again lives and is not ready; one that is gone is neither', async () => {
  const { llm, health } = healthHere()
  llm.state = 'restarting'
  assert.deepEqual([await health.live(), await health.ready()], [true, false])
  llm.state = 'stopped'
  assert.deepEqual([await health.live(), await health.ready()], [false, false])
})

test('the routes tell it: 200 and nothing, or 503 and why', async () => {
  const live = await LiveServer.start({ healthDeadlineMs: deadlineMs })
  const statuses = async () => {
    const responses = await Promise.all(['/health', '/health/ready', '/health/live'].map((p) => fetch(live.url(p))))
    for (const response of responses) {
      const body = await response.text()
      assert.equal(body, response.status === 200 ? '' : '{"error":"unhealthy","error_type":"healthcheck"}')
    }
    return responses.map(({ status }) => status)
  }
  assert.deepEqual(await statuses(), [200, 200, 200])
  live.llm.state = 'restarting'
  assert.deepEqual(await statuses(), [503, 503, 200])
  live.llm.state = 'stopped'
  assert.deepEqual(await statuses(), [503, 503, 503])
  await live.close()
})

test('a full server refuses with a word when to come again, and is healthy', async () => {
  const live = await LiveServer.start({ maxConcurrentRequests: 1, healthDeadlineMs: deadlineMs })
  const socket = live.socket()
  socket.write(rawPost('/generate_stream', '{"inputs":"hang"}'))
  await until(() => live.llm.running === 1, 'it runs')
  const refused = await live.post('/generate', { inputs: 'x' })
  assert.equal(refused.status, 429)
  assert.equal(refused.headers.get('retry-after'), '1')
  assert.equal(await refused.text(), '{"error":"Model is overloaded","error_type":"overloaded"}')
  assert.equal((await fetch(live.url('/health'))).status, 200)
  socket.destroy()
  await until(() => live.llm.running === 0, 'it is gone')
  assert.equal((await live.post('/generate', { inputs: 'x' })).headers.get('retry-after'), null)
  await live.close()
})
