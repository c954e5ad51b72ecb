import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { LiveServer } from '../testing/live-server.ts'

let live: LiveServer
before(async () => {
  live = await LiveServer.start({ version: '1.2.3', dockerLabel: 'sha-1' })
})
after(() => live.close())
beforeEach(() => {
  live.llm.calls.length = 0
})

const path = '/v1/completions'
const stable = (text: string): string => text.replaceAll(/"created":\d{10}/g, '"created":0')
const ask = async (body: object): Promise<string> => stable(await live.text(path, body))

const names = '"model":"scripted","system_fingerprint":"1.2.3-sha-1"'
const choice = (index: number, text: string, finish: string): string =>
  `{"index":${index},"text":"${text}","logprobs":null,"finish_reason":"${finish}"}`
const piece = (index: number, text: string): string =>
  `data: {"object":"text_completion","id":"","created":0,"choices":[${choice(index, text, '')}],${names}}\n\n`
const last = (index: number, text: string, usage: string): string =>
  `data: {"object":"text_completion","id":"","created":0,${names},"choices":[${choice(index, text, 'length')}],"usage":${usage}}\n\n`
const usage = (prompt: number, completion: number): string =>
  `{"prompt_tokens":${prompt},"completion_tokens":${completion},"total_tokens":${prompt + completion}}`
const done = 'data: [DONE]\n\n'

test('a prompt is continued', async () => {
  const response = await live.post(path, { prompt: 'a b', max_tokens: 2, model: 'other' })
  assert.equal(
    stable(await response.text()),
    `{"object":"text_completion","id":"","created":0,${names},"choices":[${choice(0, 'w1 w2', 'length')}],"usage":${usage(2, 2)}}`,
  )
  assert.equal(response.headers.get('x-compute-characters'), '3')
  assert.equal(response.headers.get('x-prompt-tokens'), '2')
  assert.equal(response.headers.get('x-compute-time'), null)
})

test('several prompts, n answers each: in order, their costs summed', async () => {
  const response = await live.post(path, { prompt: ['a b', 'c'], max_tokens: 1, n: 2 })
  const answer = JSON.parse(await response.text())
  assert.deepEqual(
    answer.choices.map((c: { index: number }) => c.index),
    [0, 1, 2, 3],
  )
  assert.deepEqual(
    live.llm.calls.map(({ prompt }) => prompt),
    ['a b', 'a b', 'c', 'c'],
  )
  assert.deepEqual(answer.usage, { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 })
  assert.equal(response.headers.get('x-generated-tokens'), '4')
  assert.equal(response.headers.get('x-queue-time'), '4')
})

test('token ids are prompts, alone or in a list', async () => {
  await ask({ prompt: [5, 6], max_tokens: 1 })
  await ask({ prompt: [[5], [6, 7]], max_tokens: 1 })
  assert.deepEqual(
    live.llm.calls.map(({ prompt }) => prompt),
    [[5, 6], [5], [6, 7]],
  )
})

test('a stream tells pieces, the last of each prompt with its usage, then a mark', async () => {
  assert.equal(
    await ask({ prompt: 'a b', max_tokens: 2, stream: true, stream_options: { include_usage: true } }),
    piece(0, 'w1') + last(0, ' w2', usage(2, 2)) + done,
  )
  const frames = (await ask({ prompt: ['a', 'b'], max_tokens: 2, stream: true })).split(/(?<=\n\n)/)
  assert.deepEqual(
    frames.toSorted(),
    [piece(0, 'w1'), piece(1, 'w1'), last(0, ' w2', usage(1, 2)), last(1, ' w2', usage(1, 2)), done].toSorted(),
  )
  assert.equal(frames.at(-1), done)
})

test('an error ends its own prompt; the others and the mark follow', async () => {
  const text = await ask({ prompt: ['fail', 'b'], max_tokens: 1, stream: true })
  assert.deepEqual(
    text.split(/(?<=\n\n)/).toSorted(),
    [
      'data: {"error":{"message":"Request failed during generation: generation failed: the row gave NaN","http_status_code":422}}\n\n',
      last(1, 'w1', usage(1, 1)),
      done,
    ].toSorted(),
  )
  const whole = await live.post(path, { prompt: ['fail', 'b'], max_tokens: 1 })
  assert.equal(whole.status, 424)
})

const refusals: readonly (readonly [body: object, error: string, type: string])[] = [
  [
    { prompt: ['a', 'b', 'c', 'd', 'e'], suffix: '' },
    'Suffix is not supported and can be achieved by preprocessing the prompt.',
    'suffix not supported',
  ],
  [
    { prompt: ['a', 'b', 'c', 'd', 'e'], max_tokens: 0 },
    'Number of prompts exceeds the maximum allowed batch size of 4',
    'batch size exceeded',
  ],
  [{ prompt: 'a', max_tokens: 0 }, 'Input validation error: `max_new_tokens` must be strictly positive', 'validation'],
  [{ prompt: '' }, 'Input validation error: `inputs` cannot be empty', 'validation'],
  [{ prompt: ['a', ''] }, 'Input validation error: `inputs` cannot be empty', 'validation'],
  [{ prompt: ['a', 'b'], n: 65 }, 'Input validation error: `n` must be <= 64. Given: 65', 'validation'],
]

test('what cannot be done is refused as JSON', async () => {
  for (const [body, error, error_type] of refusals) {
    const response = await live.post(path, body)
    assert.equal(response.status, 422, error)
    assert.deepEqual(await response.json(), { error, error_type })
  }
  const early = await live.post(path, { prompt: 'a', suffix: 'x', stream: true })
  assert.equal(early.status, 422)
})

const shapes: readonly (readonly [body: object, reason: string])[] = [
  [{}, 'missing field `prompt`'],
  [{ prompt: [] }, 'prompt: Empty array detected. Do not use an empty array for the prompt.'],
  [{ prompt: 5 }, 'prompt: invalid type: integer `5`, expected a string'],
  [{ prompt: ['a', 5] }, 'prompt[1]: invalid type: integer `5`, expected a string'],
  [{ prompt: [1, -1] }, 'prompt[1]: invalid value: integer `-1`, expected u32'],
]

test('a body of the wrong shape is refused as text', async () => {
  for (const [body, reason] of shapes) {
    const text = await live.text(path, body)
    const prefix = 'Failed to deserialize the JSON body into the target type: '
    assert.equal(text.replace(/ at line \d+ column \d+$/, ''), prefix + reason)
  }
})

test('draws unless the temperature is 0', async () => {
  await ask({ prompt: 'a', max_tokens: 1 })
  await ask({ prompt: 'a', max_tokens: 1, temperature: 0 })
  assert.deepEqual(
    live.llm.calls.map(({ options }) => [options.doSample, options.temperature]),
    [
      [true, undefined],
      [false, undefined],
    ],
  )
})
