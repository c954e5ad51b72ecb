import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { LiveServer } from '../testing/live-server.ts'

let live: LiveServer
before(async () => {
  live = await LiveServer.start({ version: '1.2.3' })
})
after(() => live.close())
beforeEach(() => {
  live.llm.calls.length = 0
})

const messages = [{ role: 'user', content: 'hi' }]
const get = async (path: string): Promise<unknown> => (await fetch(live.url(path))).json()
const bytes = (text: string): number[] => [...Buffer.from(text)]

test('/invocations answers as the route its body is meant for', async () => {
  const parameters = { max_new_tokens: 1 }
  assert.equal(await live.text('/invocations', { inputs: 'a ', parameters }), '[{"generated_text":"a w1"}]')
  assert.match(await live.text('/invocations', { inputs: 'a', parameters, stream: true }), /^data: \{"index":1/)
  assert.match(await live.text('/invocations', { messages, max_tokens: 1 }), /"object":"chat.completion"/)
  assert.match(await live.text('/invocations', { messages, max_tokens: 1, stream: true }), /\[DONE\]\n\n$/)
  assert.match(await live.text('/invocations', { prompt: 'a', max_tokens: 1 }), /"object":"text_completion"/)
  const response = await live.post('/invocations', { messages, max_tokens: 'x' })
  assert.equal(response.status, 422)
  assert.equal(
    (await response.text()).replace(/ at line .*/, ''),
    'Failed to deserialize the JSON body into the target type: data did not match any variant of untagged enum SagemakerRequest',
  )
})

test('/vertex answers the text of each instance, and of generate instances takes length and seed alone', async () => {
  const instances = [
    { inputs: 'a', parameters: { max_new_tokens: 1, seed: 7, top_k: 5 } },
    { messages, max_tokens: 2 },
    { inputs: 'b' },
  ]
  const response = await live.post('/vertex', { instances })
  assert.equal(await response.text(), '{"predictions":["w1","w1 w2","w1 w2 w3"]}')
  assert.equal(response.headers.get('x-compute-time'), null)
  assert.equal(response.headers.get('x-loquent-ignored'), 'instances[0].parameters.top_k')
  const { signal: _, ...options } = live.llm.calls[0]!.options
  assert.deepEqual(options, { doSample: true, maxNewTokens: 1, seed: 7n, stop: [], promptLogprobs: false })
})

const refusals: readonly (readonly [path: string, body: object, status: number, error: string, type: string])[] = [
  ['/vertex', { instances: [] }, 422, 'Input validation error', 'Input validation error'],
  ['/vertex', { instances: [{ inputs: 'fail' }] }, 500, 'Incomplete generation', 'Incomplete generation'],
  ['/vertex', { instances: [{ inputs: '' }] }, 422, 'Input validation error: `inputs` cannot be empty', 'validation'],
  [
    '/vertex',
    { instances: [{ messages: [{ role: 'broken', content: '' }] }] },
    422,
    'Template error: no such role',
    'template_error',
  ],
  [
    '/v2/models/m/versions/1/infer',
    { id: 'x', inputs: [], outputs: [{ name: 'o' }] },
    422,
    'Inputs and outputs length mismatch',
    'length mismatch',
  ],
  [
    '/v2/models/m/versions/1/infer',
    { id: 'x', inputs: [{ name: 'i', shape: [1], datatype: 'BYTES', data: [97, 255] }], outputs: [{ name: 'o' }] },
    422,
    'invalid utf-8 sequence from index 1',
    'utf8',
  ],
  [
    '/v2/models/m/versions/1/infer',
    { id: 'x', inputs: [{ name: 'i', shape: [4], datatype: 'BYTES', data: bytes('fail') }], outputs: [{ name: 'o' }] },
    500,
    'Incomplete generation',
    'Incomplete generation',
  ],
]

test('the adapters refuse in their own words', async () => {
  for (const [path, body, status, error, error_type] of refusals) {
    const response = await live.post(path, body)
    assert.equal(response.status, status, `${path} ${error}`)
    assert.deepEqual(await response.json(), { error, error_type })
  }
})

test('Vertex AI may name paths of its own', async () => {
  const named = await LiveServer.start({ vertexPredictRoute: '/v1/predict', vertexHealthRoute: '/v1/health' })
  const instances = [{ inputs: 'a', parameters: { max_new_tokens: 1 } }]
  for (const path of ['/v1/predict', '/vertex']) {
    assert.equal(await named.text(path, { instances }), '{"predictions":["w1"]}')
  }
  assert.notEqual((await fetch(named.url('/v1/health'))).status, 404)
  await named.close()
  const same = await LiveServer.start({ vertexPredictRoute: '/vertex', vertexHealthRoute: '/health' })
  assert.equal(await same.text('/vertex', { instances }), '{"predictions":["w1"]}')
  await same.close()
})

test('the KServe routes tell the server and the model under any name', async () => {
  const extensions = ['health', 'models', 'metrics']
  assert.deepEqual(await get('/v2'), { name: 'text-generation-inference', version: '1.2.3', extensions })
  for (const path of ['/v2/health/live', '/v2/health/ready', '/v2/models/m/versions/1/ready']) {
    assert.deepEqual(await get(path), { live: true })
  }
  assert.deepEqual(await get('/v2/models/m/versions/1'), { name: 'm', version: '1', extensions: ['infer', 'ready'] })
})

test('KServe prompts and texts are bytes', async () => {
  const data = bytes('é b')
  const body = {
    id: '7',
    parameters: { max_new_tokens: 1 },
    inputs: [
      { name: 'i', shape: [1], datatype: 'BYTES', data },
      { name: 'j', shape: [1], datatype: 'BYTES', data },
    ],
    outputs: [{ name: 'o' }, { name: 'p' }],
  }
  const [first, second] = ['o', 'p'].map(
    (name) => `{"name":"${name}","shape":[1,2],"datatype":"BYTES","data":[119,49]}`,
  )
  assert.equal(await live.text('/v2/models/m/versions/1/infer', body), `{"id":"7","outputs":[${first},${second}]}`)
  assert.equal(live.llm.calls[0]!.prompt, 'é b')
  const wrong = { ...body, inputs: [{ ...body.inputs[0], data: [256] }] }
  assert.match(
    await live.text('/v2/models/m/versions/1/infer', wrong),
    /inputs\[0\].data\[0\]: invalid value: integer `256`, expected u8/,
  )
})
