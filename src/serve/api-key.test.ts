import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { LiveServer } from './testing/live-server.ts'

let live: LiveServer
before(async () => {
  live = await LiveServer.start({ apiKeys: ['Secret', 'other'] })
})
after(() => live.close())

const messages = [{ role: 'user', content: 'hi' }]
const infer = '/v2/models/m/versions/1/infer'
const locked: readonly (readonly [path: string, body: object])[] = [
  ['/', { inputs: 'x' }],
  ['/generate', { inputs: 'x' }],
  ['/generate_stream', { inputs: 'x' }],
  ['/%67enerate', { inputs: 'x' }],
  ['/tokenize', { inputs: 'x' }],
  ['/v1/chat/completions', { messages }],
  ['/v1/completions', { prompt: 'x' }],
  ['/invocations', { inputs: 'x' }],
  ['/vertex', { instances: [{ inputs: 'x' }] }],
  [infer, { id: '1', inputs: [], outputs: [] }],
]
const open = ['/', '/health', '/ping', '/info', '/metrics', '/v1/models', '/docs/', '/api-doc/openapi.json', '/v2']

const knock = (path: string, body: object, authorization?: string): Promise<Response> => {
  const headers = { 'content-type': 'application/json', ...(authorization !== undefined && { authorization }) }
  return live.post(path, body, { headers })
}

test('what spends time asks for a key', async () => {
  for (const [path, body] of locked) {
    for (const wrong of [undefined, '', 'Bearer', 'Bearer nobody', 'Secret', 'Bearer Secret2', 'Basic Secret']) {
      const response = await knock(path, body, wrong)
      assert.equal(response.status, 401, `${path} ${wrong}`)
      assert.equal(await response.text(), '')
      assert.equal(response.headers.get('access-control-allow-origin'), '*')
    }
    for (const right of ['Bearer Secret', 'bearer SECRET', 'Bearer other']) {
      assert.equal((await knock(path, body, right)).status, 200, `${path} ${right}`)
    }
  }
})

test('what tells about the server does not, nor does the chat tokenizer', async () => {
  for (const path of open) assert.notEqual((await fetch(live.url(path))).status, 401, path)
  assert.equal((await knock('/chat_tokenize', { messages })).status, 200)
})

test('a wrong method on a locked path is 401 without a key and 405 with one, an unknown path 404 either way', async () => {
  const put = (path: string, headers = {}) => fetch(live.url(path), { method: 'PUT', headers })
  assert.equal((await put('/generate')).status, 401)
  assert.equal((await put(infer)).status, 401)
  assert.equal((await put('/generate', { authorization: 'Bearer other' })).status, 405)
  assert.equal((await put('/info')).status, 405)
  assert.equal((await put('/chat_tokenize')).status, 405)
  assert.equal((await put('/nowhere')).status, 404)
})

test('a preflight needs no key', async () => {
  const response = await fetch(live.url('/generate'), { method: 'OPTIONS' })
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('access-control-allow-headers'), 'content-type')
})

test('a preflight may ask for the header of the key', async () => {
  for (const [asked, allowed] of [
    ['authorization,content-type,x-stainless-os', 'authorization,content-type,x-stainless-os'],
    ['a b', 'content-type'],
    ['x'.repeat(1025), 'content-type'],
  ] as const) {
    const headers = { 'access-control-request-headers': asked, 'access-control-request-method': 'POST' }
    const response = await fetch(live.url('/generate'), { method: 'OPTIONS', headers })
    assert.equal(response.headers.get('access-control-allow-headers'), allowed)
  }
})

test('without keys any header is as good as none', async () => {
  const free = await LiveServer.start()
  const headers = { 'content-type': 'application/json', authorization: 'Bearer whatever' }
  assert.equal((await free.post('/generate', { inputs: 'x' }, { headers })).status, 200)
  await free.close()
})
