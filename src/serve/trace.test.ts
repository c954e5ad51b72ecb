import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Collector } from '../telemetry/testing/collector.ts'
import { startTracing } from '../telemetry/trace.ts'
import { createServer } from './server.ts'
import { ScriptedLLM } from './testing/scripted-llm.ts'
import { duration } from './trace.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const spanId = '00f067aa0ba902b7'
const times = ['total_time', 'validation_time', 'queue_time', 'inference_time', 'time_per_token']

/** Asks a traced server, then closes it; what was sent to the collector, and said of sending. */
async function traced(endpoint: string, ask: (url: string) => Promise<void>): Promise<readonly string[]> {
  const notices: string[] = []
  const tracing = startTracing({ endpoint, serviceName: 'tested', onNotice: (text) => notices.push(text) })
  const app = createServer(new ScriptedLLM(), { logLevel: 'silent', strict: true }, undefined, tracing)
  await app.listen({ host: '127.0.0.1', port: 0 })
  try {
    await ask(`http://127.0.0.1:${(app.server.address() as { port: number }).port}`)
  } finally {
    await app.close()
    await tracing.close()
  }
  return notices
}

async function post(url: string, body: unknown, traceparent?: string): Promise<void> {
  const headers = { 'content-type': 'application/json', ...(traceparent && { traceparent }) }
  await (await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })).text()
}

const parameters = { max_new_tokens: 2, do_sample: true, seed: 42 }

test('each request is a span of the reference, in the trace of whoever asks, with its parts', async () => {
  const collector = new Collector('http')
  const url = `${await collector.start()}/v1/traces`
  const notices = await traced(url, async (server) => {
    await post(`${server}/generate`, { inputs: 'a b', parameters }, `00-${traceId}-${spanId}-01`)
    await post(`${server}/generate_stream`, { inputs: 'a', parameters: { max_new_tokens: 2 } })
    await post(`${server}/`, { inputs: 'a', stream: true, parameters })
    await post(`${server}/v1/completions`, { model: 'tgi', prompt: 'a', max_tokens: 1 })
    await post(`${server}/generate`, { inputs: 'fail' }, 'nonsense')
    await fetch(`${server}/health`)
  })
  collector.close()
  const { spans } = collector
  assert.deepEqual(notices, [])
  assert.ok(spans.every(({ service }) => service === 'tested'))

  const [first, failed] = spans.filter(({ name }) => name === 'generate')
  assert.deepEqual([first!.traceId, first!.parentId], [traceId, spanId])
  assert.equal(first!.attributes['seed'], 'Some(42)')
  assert.equal(JSON.parse(first!.attributes['parameters']!).max_new_tokens, 2)
  for (const name of times) assert.match(first!.attributes[name]!, /^[\d.]+(s|ms|µs|ns)$/)
  const parts = spans.filter(({ parentId }) => parentId === first!.spanId)
  assert.deepEqual(parts.map(({ name }) => name).sort(), ['infer', 'queued', 'validate'])
  assert.ok(parts.every((part) => part.traceId === traceId))
  assert.deepEqual([failed!.failed, failed!.parentId], [true, ''])

  const [plain, inner] = spans.filter(({ name }) => name === 'generate_stream')
  assert.deepEqual([plain!.parentId, plain!.attributes['seed']], ['', 'None'])
  const compat = spans.find(({ name }) => name === 'compat_generate')!
  assert.deepEqual([compat.parentId, inner!.parentId], ['', compat.spanId])
  const completions = spans.find(({ name }) => name === 'completions')!
  assert.equal(completions.attributes['parameters'], undefined)
  assert.ok(completions.attributes['total_time'])
  assert.ok(spans.some(({ name }) => name === 'health'))
})

test('spans go over gRPC, as the reference sends them', async () => {
  const collector = new Collector('grpc')
  const notices = await traced(await collector.start(), (server) => post(`${server}/generate`, { inputs: 'a' }))
  collector.close()
  assert.deepEqual(notices, [])
  assert.deepEqual(collector.spans.map(({ name }) => name).sort(), ['generate', 'infer', 'queued', 'validate'])
})

test('a collector that is not there is told of once, and holds nobody back', async () => {
  const notices = await traced('http://127.0.0.1:9', (server) => post(`${server}/generate`, { inputs: 'a' }))
  assert.equal(notices.length, 1)
  assert.match(notices[0]!, /^traces do not reach http:\/\/127\.0\.0\.1:9: .*ECONNREFUSED/)
})

test('durations are written as the reference writes them', () => {
  assert.deepEqual([1234.567, 12.5, 0.00325, 0.000017].map(duration), ['1.234567s', '12.5ms', '3.25µs', '17ns'])
})
