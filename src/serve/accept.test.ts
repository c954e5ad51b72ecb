import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { LiveServer } from './testing/live-server.ts'

let live: LiveServer
let strict: LiveServer
before(async () => {
  live = await LiveServer.start()
  strict = await LiveServer.start({ strict: true })
})
after(async () => {
  await live.close()
  await strict.close()
})

const bodies: readonly (readonly [path: string, body: object, ignored: string | null])[] = [
  ['/generate', { inputs: 'x', parameters: { max_tokens: 1, min_p: 0.5 } }, 'parameters.max_tokens, parameters.min_p'],
  ['/generate', { inputs: 'x', parameters: { stop_sequences: null } }, null],
  ['/generate_stream', { inputs: 'x', model: 'm' }, 'model'],
  ['/', { inputs: 'x', options: { use_cache: true } }, 'options'],
  ['/v1/completions', { prompt: 'x', max_tokens: 1, echo: true, user: 'u' }, 'echo, user'],
  ['/v1/chat/completions', { messages: [{ role: 'user', content: 'x', foo: 1 }], top_k: 3 }, 'messages[0].foo, top_k'],
  [
    '/v1/chat/completions',
    { messages: [{ role: 'user', content: 'x' }], 'é,x': 1, ['a'.repeat(99)]: 1 },
    `??x, ${'a'.repeat(64)}`,
  ],
  ['/invocations', { inputs: 'x', parameters: {}, foo: 1 }, 'foo'],
  ['/tokenize', { inputs: 'x', foo: 1 }, 'foo'],
]

test('fields nobody knows are named in a header and in the log; a null is none', async () => {
  for (const [path, body, ignored] of bodies) {
    live.log.length = 0
    const response = await live.post(path, body)
    assert.equal(response.status, 200, path)
    assert.equal(response.headers.get('x-loquent-ignored'), ignored, path)
    await response.text()
    const line = live.log.find((text) => text.includes('unknown fields ignored'))
    assert.equal(line !== undefined, ignored !== null, path)
  }
})

test('a strict server refuses the first of them', async () => {
  for (const [path, body, ignored] of bodies) {
    const response = await strict.post(path, body)
    const text = await response.text()
    assert.equal(response.status, ignored === null ? 200 : 422, path)
    if (ignored === null) continue
    const [first] = ignored.split(', ')
    assert.equal(text, `Failed to deserialize the JSON body into the target type: unknown field \`${first}\``)
  }
})

test('not more than 32 are named', async () => {
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`field${i}`, i]))
  const response = await live.post('/generate', { inputs: 'x', ...many })
  assert.equal(response.headers.get('x-loquent-ignored')!.split(', ').length, 32)
})
