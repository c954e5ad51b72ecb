import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { LiveServer, until } from './testing/live-server.ts'

let live: LiveServer
const leave = new AbortController()
let busy: Promise<unknown>
before(async () => {
  live = await LiveServer.start({ maxConcurrentRequests: 1 })
  busy = live.post('/generate', { inputs: 'hang' }, { signal: leave.signal }).catch(() => 'left')
  await until(() => live.llm.running === 1, 'the only place is taken')
})
after(async () => {
  leave.abort()
  await busy
  await live.close()
})

const messages = [{ role: 'user', content: 'x' }]
const data = [120]
const infer = {
  id: '1',
  inputs: [{ name: 'i', shape: [1], datatype: 'BYTES', data }],
  outputs: [{ name: 'o' }],
}

const whole: readonly (readonly [path: string, body: object])[] = [
  ['/', { inputs: 'x' }],
  ['/generate', { inputs: 'x' }],
  ['/generate', { inputs: 'x', parameters: { best_of: 2, do_sample: true } }],
  ['/generate', { inputs: '', parameters: { temperature: -1 } }],
  ['/v1/chat/completions', { messages }],
  ['/v1/chat/completions', { messages, max_tokens: 0 }],
  ['/v1/completions', { prompt: 'x' }],
  ['/v1/completions', { prompt: ['x', 'y'] }],
  ['/invocations', { inputs: 'x' }],
  ['/invocations', { messages }],
  ['/vertex', { instances: [{ inputs: 'x' }] }],
  ['/v2/models/m/versions/1/infer', infer],
]

test('a full server says so on every route, whatever else is wrong with the request', async () => {
  for (const [path, body] of whole) {
    const response = await live.post(path, body)
    assert.equal(response.status, 429, path)
    assert.equal(response.headers.get('content-type'), 'application/json')
    assert.equal(await response.text(), '{"error":"Model is overloaded","error_type":"overloaded"}', path)
  }
})

const native = 'data: {"error":"Model is overloaded","error_type":"overloaded"}\n\n'
const openai = 'data: {"error":{"message":"Model is overloaded","http_status_code":422}}\n\n'

const streams: readonly (readonly [path: string, body: object, text: string])[] = [
  ['/', { inputs: 'x', stream: true }, native],
  ['/generate_stream', { inputs: 'x' }, native],
  ['/v1/chat/completions', { messages, stream: true }, `${openai}data: [DONE]\n\n`],
  ['/v1/completions', { prompt: ['x', 'y'], stream: true }, `${openai}${openai}data: [DONE]\n\n`],
]

test('a stream says so in an event, one for each of its prompts', async () => {
  for (const [path, body, text] of streams) {
    const response = await live.post(path, body)
    assert.equal(response.status, 200, path)
    assert.equal(await response.text(), text, path)
  }
})

test('what generates nothing is answered all the same', async () => {
  const open: readonly (readonly [path: string, body: object])[] = [
    ['/tokenize', { inputs: 'x' }],
    ['/chat_tokenize', { messages }],
  ]
  for (const [path, body] of open) assert.equal((await live.post(path, body)).status, 200, path)
  for (const path of ['/info', '/v1/models', '/v2/health/ready']) {
    assert.equal((await fetch(live.url(path))).status, 200, path)
  }
})

test('a conversation at fault, or too many prompts, are told before there is a place to ask for', async () => {
  const broken = [{ role: 'broken', content: '' }]
  assert.equal((await live.post('/v1/chat/completions', { messages: broken })).status, 422)
  assert.equal((await live.post('/v1/completions', { prompt: 'x', suffix: 'y' })).status, 422)
  assert.equal((await live.post('/generate', { inputs: 'x', parameters: { best_of: 3 } })).status, 422)
})
