import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { LiveServer, until } from '../testing/live-server.ts'

let live: LiveServer
before(async () => {
  live = await LiveServer.start({ version: '1.2.3', maxConcurrentRequests: 4 })
})
after(() => live.close())
beforeEach(() => {
  live.llm.calls.length = 0
})

const path = '/v1/chat/completions'
const messages = [{ role: 'user', content: 'hé' }]

/** `created` is the one thing that differs from run to run. */
const stable = (text: string): string => text.replaceAll(/"created":\d{10}/g, '"created":0')
const ask = async (body: object): Promise<string> => stable(await live.text(path, { messages, ...body }))

const head = (object: string, model = 'scripted'): string =>
  `{"object":"${object}","id":"","created":0,"model":"${model}","system_fingerprint":"1.2.3-native","choices":[`

const piece = (content: string, finish = 'null', logprobs = 'null', index = 0): string =>
  `data: ${head('chat.completion.chunk')}{"index":${index},"delta":{"role":"assistant","content":"${content}"},` +
  `"logprobs":${logprobs},"finish_reason":${finish}}],"usage":null}\n\n`

const usage = (prompt: number, completion: number): string =>
  `{"prompt_tokens":${prompt},"completion_tokens":${completion},"total_tokens":${prompt + completion}}`

const done = 'data: [DONE]\n\n'

test('an answer is a message, with the headers of its cost', async () => {
  const response = await live.post(path, { messages, max_tokens: 2 })
  assert.equal(
    stable(await response.text()),
    `${head('chat.completion')}{"index":0,"message":{"role":"assistant","content":"w1 w2"},"logprobs":null,` +
      `"finish_reason":"length"}],"usage":${usage(1, 2)}}`,
  )
  assert.equal(response.headers.get('content-type'), 'application/json')
  assert.equal(response.headers.get('x-compute-characters'), '2')
  assert.equal(response.headers.get('x-generated-tokens'), '2')
  assert.match(response.headers.get('x-compute-time')!, /^\d+\.\d+$/)
})

test('logprobs are told when asked for, the likeliest beside them', async () => {
  const one = '{"token":"w1","logprob":-0.34,"top_logprobs":[]}'
  assert.match(
    await ask({ max_tokens: 1, temperature: 0, logprobs: true }),
    new RegExp(`"logprobs":{"content":\\[${one.replaceAll(/[[\]{}]/g, '\\$&')}\\]}`),
  )
  const top = await ask({ max_tokens: 1, temperature: 0, logprobs: true, top_logprobs: 1, stream: true })
  const scored = '{"content":[{"token":"w1","logprob":-0.34,"top_logprobs":[{"token":"w1","logprob":-0.34}]}]}'
  assert.equal(top, piece('w1', '"length"', scored) + done)
})

test('a stream is a chunk a token, every one with a role, and ends with a mark', async () => {
  const response = await live.post(path, { messages, max_tokens: 2, stream: true })
  assert.equal(response.headers.get('content-type'), 'text/event-stream')
  assert.equal(response.headers.get('x-compute-characters'), '2')
  assert.equal(response.headers.get('x-accel-buffering'), 'no')
  assert.equal(stable(await response.text()), piece('w1') + piece(' w2', '"length"') + done)
})

test('usage comes in a chunk of its own when asked for', async () => {
  const last = `data: ${head('chat.completion.chunk')}],"usage":${usage(1, 1)}}\n\n`
  const asked = { max_tokens: 1, stream: true, stream_options: { include_usage: true } }
  assert.equal(await ask(asked), piece('w1', '"length"') + last + done)
  for (const stream_options of [null, {}, { include_usage: false }]) {
    assert.equal(await ask({ ...asked, stream_options }), piece('w1', '"length"') + done)
  }
})

test('n answers: beside each other, with seeds that follow one another', async () => {
  const answer = JSON.parse(await ask({ max_tokens: 1, n: 2, seed: 5 }))
  assert.deepEqual(
    answer.choices.map((c: { index: number }) => c.index),
    [0, 1],
  )
  assert.deepEqual(answer.usage, { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 })
  assert.deepEqual(
    live.llm.calls.map(({ options }) => options.seed),
    [5n, 6n],
  )
  const streamed = await ask({ max_tokens: 1, n: 2, stream: true, stream_options: { include_usage: true } })
  assert.match(streamed, /"index":0,/)
  assert.match(streamed, /"index":1,/)
  assert.match(streamed, /"choices":\[\],"usage":\{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3\}/)
})

test('more answers than the server runs at one time are refused', async () => {
  assert.equal(
    await ask({ n: 5 }),
    '{"error":"Input validation error: `n` must be <= 4. Given: 5","error_type":"validation"}',
  )
})

test('the name asked for is the name that answers, but for the placeholder', async () => {
  for (const [model, told] of [
    ['tgi', 'scripted'],
    [null, 'scripted'],
    ['a/b', 'a/b'],
  ]) {
    assert.equal(JSON.parse(await ask({ model, max_tokens: 1 })).model, told)
  }
})

test('parameters reach the model', async () => {
  await ask({ max_tokens: 9, max_completion_tokens: 2, presence_penalty: 0, top_p: 1, stop: 'x' })
  await ask({
    temperature: 0,
    max_tokens: 1,
    presence_penalty: -0.5,
    frequency_penalty: 0.5,
    stop: ['x', 'y'],
    seed: 3,
  })
  await ask({ temperature: 0.5, max_tokens: 1, top_p: 0.5, top_logprobs: 2 })
  const given = live.llm.calls.map(({ options: { signal: _, ...options } }) => options)
  const always = { promptLogprobs: false, addSpecialTokens: false }
  assert.deepEqual(given, [
    { ...always, doSample: true, maxNewTokens: 2, stop: ['x'] },
    {
      ...always,
      doSample: false,
      maxNewTokens: 1,
      repetitionPenalty: 1.5,
      frequencyPenalty: 0.5,
      seed: 3n,
      stop: ['x', 'y'],
    },
    { ...always, doSample: true, temperature: 0.5, topP: 0.5, maxNewTokens: 1, stop: [], topNTokens: 2 },
  ])
})

test('parts of a content are joined, an image as models with eyes read it', async () => {
  const content = [
    { type: 'text', text: 'a', image_url: null },
    { type: 'image_url', text: null, image_url: { url: 'http://x/y.png', detail: 'low' } },
    { type: 'text', text: 'b' },
  ]
  await ask({ messages: [{ role: 'user', content, name: null, tool_calls: null }], max_tokens: 1 })
  assert.equal(live.llm.calls[0]!.prompt, 'a![](http://x/y.png)b')
})

test('messages of tools are taken', async () => {
  const call = { id: '0', type: 'function', function: { name: 'f', arguments: '{"a":1}', description: null } }
  const history = [
    ...messages,
    { role: 'assistant', content: null, tool_calls: [call] },
    { role: 'assistant', tool_calls: [{ ...call, function: { name: 'f', parameters: { a: 1 } } }] },
    { role: 'tool', content: '6.7', tool_call_id: '0', name: 'f' },
  ]
  assert.match(await ask({ messages: history, max_tokens: 1 }), /"content":"w1"/)
})

const tool = { type: 'function', function: { name: 'f', parameters: { type: 'object' } } }

const refusals: readonly (readonly [body: object, error: string, type: string])[] = [
  [{ messages: [{ role: 'broken', content: '' }] }, 'Template error: no such role', 'template_error'],
  [{ tools: [tool] }, 'Tool error: tools are not supported yet', 'tool_error'],
  [{ tools: [tool], tool_choice: 'required' }, 'Tool error: tools are not supported yet', 'tool_error'],
  [{ tools: [tool], tool_choice: 'g' }, 'Tool error: Tool with name g not found', 'tool_error'],
  [
    { tools: [tool], tool_choice: { type: 'function', function: { name: 'g' } } },
    'Tool error: Tool with name g not found',
    'tool_error',
  ],
  [
    { tools: [], response_format: { type: 'json', value: { properties: {} } } },
    'Tool error: Grammar and tools are mutually exclusive',
    'tool_error',
  ],
  [
    { response_format: { type: 'json_object' } },
    'Input validation error: `response_format` of type `json_object` is not supported yet',
    'validation',
  ],
  [
    { response_format: { type: 'json', value: {} } },
    "Input validation error: grammar is not valid: Grammar must have a 'properties' field",
    'validation',
  ],
  [
    { response_format: { type: 'json', value: { properties: {} } } },
    'Input validation error: `response_format` of type `json` is not supported yet',
    'validation',
  ],
  [{ logit_bias: { 5: 1 } }, 'Input validation error: `logit_bias` is not supported yet', 'validation'],
  [{ top_logprobs: 6 }, 'Input validation error: `top_n_tokens` must be >= 0 and <= 5. Given: 6', 'validation'],
  [{ presence_penalty: -2 }, 'Input validation error: `repetition_penalty` must be strictly positive', 'validation'],
  [{ max_tokens: 0 }, 'Input validation error: `max_new_tokens` must be strictly positive', 'validation'],
]

test('what cannot be done is refused as JSON, and as JSON also in place of a stream when the conversation is at fault', async () => {
  for (const [body, error, error_type] of refusals) {
    const response = await live.post(path, { messages, ...body })
    assert.equal(response.status, 422, error)
    assert.deepEqual(await response.json(), { error, error_type })
  }
  const early = await live.post(path, { messages: [{ role: 'broken', content: '' }], stream: true })
  assert.equal(early.status, 422)
})

const accepted: readonly object[] = [
  { tools: [], tool_choice: 'auto' },
  { tools: [tool], tool_choice: 'none' },
  { tools: [{ type: 'function', function: { name: 'f' } }], tool_choice: 'none' },
  { tools: null, tool_choice: null },
  { response_format: { type: 'text' } },
  { tools: [tool], tool_choice: 'none', response_format: { type: 'text' } },
  { logit_bias: [0.5, 1] },
  { logit_bias: {} },
  { stream: null },
]

test('what asks for nothing is accepted', async () => {
  for (const body of accepted) {
    assert.equal((await live.post(path, { messages, max_tokens: 1, ...body })).status, 200, JSON.stringify(body))
  }
})

const shapes: readonly (readonly [body: object, reason: string])[] = [
  [{ messages: null }, 'messages: invalid type: null, expected a sequence'],
  [{ messages: [{ role: 'user' }] }, 'messages[0]: data did not match any variant of untagged enum MessageBody'],
  [
    { messages: [{ role: 'user', content: 5 }] },
    'messages[0]: data did not match any variant of untagged enum MessageBody',
  ],
  [
    { messages: [{ role: 'user', content: [{ type: 'audio' }] }] },
    'messages[0]: data did not match any variant of untagged enum MessageBody',
  ],
  [{ messages: [{ content: 'x' }] }, 'messages[0]: missing field `role`'],
  [{ stop: 5 }, 'stop: invalid type: integer `5`, expected a sequence'],
  [{ tool_choice: 5 }, 'tool_choice: data did not match any variant of untagged enum ToolChoice'],
  [
    { response_format: { type: 'xml' } },
    'response_format.type: unknown variant `xml`, expected one of `json`, `json_object`, `regex`, `json_schema`',
  ],
  [{ logit_bias: 'x' }, 'logit_bias: invalid type: string "x", expected a sequence'],
]

test('a conversation of the wrong shape is refused as text', async () => {
  for (const [body, reason] of shapes) {
    const response = await live.post(path, { messages, ...body })
    const text = await response.text()
    assert.equal(response.status, 422, text)
    assert.equal(response.headers.get('content-type'), 'text/plain; charset=utf-8')
    const prefix = 'Failed to deserialize the JSON body into the target type: '
    assert.equal(text.replace(/ at line \d+ column \d+$/, ''), prefix + reason)
  }
})

const streamError = (message: string): string => `data: {"error":{"message":"${message}","http_status_code":422}}\n\n`

test('an error inside a stream is told in its own form, and the mark follows', async () => {
  const fails = { messages: [{ role: 'user', content: 'fail' }], stream: true }
  assert.equal(
    await ask(fails),
    streamError('Request failed during generation: generation failed: the row gave NaN') + done,
  )
  assert.equal(
    await ask({ messages: [{ role: 'user', content: 'cut' }], max_tokens: 1, stream: true }),
    piece('w1') + streamError('Incomplete generation stream') + done,
  )
  assert.equal(
    await ask({ max_tokens: 0, stream: true }),
    streamError('Input validation error: `max_new_tokens` must be strictly positive') + done,
  )
})

test('a request too many is refused, whole or streamed; leaving gives the place back', async () => {
  const leave = new AbortController()
  const hang = { messages: [{ role: 'user', content: 'hang' }], n: 4 }
  const waiting = live.post(path, hang, { signal: leave.signal }).catch(() => 'left')
  await until(() => live.llm.running === 4, 'four generations run')
  const response = await live.post(path, { messages })
  assert.equal(response.status, 429)
  assert.equal(await response.text(), '{"error":"Model is overloaded","error_type":"overloaded"}')
  assert.equal(await ask({ stream: true }), streamError('Model is overloaded') + done)
  leave.abort()
  await waiting
  await until(() => live.llm.running === 0, 'all are given up')
})

test('silence is broken by comments here too', async () => {
  const quiet = await LiveServer.start({ keepAliveMs: 20 })
  const leave = new AbortController()
  const body = { messages: [{ role: 'user', content: 'hang' }], stream: true }
  const response = await quiet.post(path, body, { signal: leave.signal })
  const { value } = await response.body!.getReader().read()
  assert.equal(Buffer.from(value!).toString(), ':\n\n')
  leave.abort()
  await until(() => quiet.llm.running === 0, 'it is given up')
  await quiet.close()
})
