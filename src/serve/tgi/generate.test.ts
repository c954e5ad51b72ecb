import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { LiveServer, until } from '../testing/live-server.ts'

let live: LiveServer
before(async () => {
  live = await LiveServer.start({ maxConcurrentRequests: 2 })
})
after(() => live.close())
beforeEach(() => {
  live.llm.calls.length = 0
})

const tokens = (logprob: string, count = 2): string =>
  Array.from(
    { length: count },
    (_, i) => `{"id":${101 + i},"text":"${i > 0 ? ' ' : ''}w${i + 1}","logprob":${logprob},"special":false}`,
  ).join(',')

test('an answer without details is its text, with the headers of its cost', async () => {
  const response = await live.post('/generate', { inputs: 'héllo 😀', parameters: { max_new_tokens: 2 } })
  assert.equal(response.status, 200)
  assert.equal(await response.text(), '{"generated_text":"w1 w2"}')
  const header = (name: string) => response.headers.get(name)
  assert.equal(header('content-type'), 'application/json')
  assert.equal(header('x-compute-type'), 'cpu')
  assert.equal(header('x-compute-characters'), '7')
  assert.equal(header('x-queue-time'), '1')
  assert.equal(header('x-inference-time'), '12')
  assert.equal(header('x-time-per-token'), '6')
  assert.equal(header('x-prompt-tokens'), '2')
  assert.equal(header('x-generated-tokens'), '2')
  assert.match(header('x-compute-time')!, /^\d+\.\d+$/)
  for (const name of ['x-total-time', 'x-validation-time']) assert.match(header(name)!, /^\d+$/)
})

test('details tell tokens with float32 scores; a greedy answer has no seed', async () => {
  const parameters = { max_new_tokens: 2, details: true, seed: 7 }
  assert.equal(
    await live.text('/generate', { inputs: 'x', parameters }),
    '{"generated_text":"w1 w2","details":{"finish_reason":"length","generated_tokens":2,"seed":null,"prefill":[],' +
      `"tokens":[${tokens('-0.34')}]}}`,
  )
})

test('a seed is unsigned 64-bit, in and out', async () => {
  const body =
    '{"inputs":"x","parameters":{"max_new_tokens":1,"do_sample":true,"details":true,"seed":18446744073709551615}}'
  assert.match(await live.text('/generate', body), /"seed":18446744073709551615,/)
  assert.equal(live.llm.calls[0]!.options.seed, 18446744073709551615n)
  const zero = '{"inputs":"x","parameters":{"max_new_tokens":1,"do_sample":true,"details":true,"seed":0}}'
  assert.match(await live.text('/generate', zero), /"seed":0,/)
})

test('decoder_input_details shows the prompt and brings the details along', async () => {
  const parameters = { max_new_tokens: 1, decoder_input_details: true, top_n_tokens: 1 }
  assert.equal(
    await live.text('/generate', { inputs: 'a b', parameters }),
    '{"generated_text":"w1","details":{"finish_reason":"length","generated_tokens":1,"seed":null,' +
      '"prefill":[{"id":0,"text":"a","logprob":null},{"id":1,"text":"b","logprob":-1.0}],' +
      `"tokens":[${tokens('-0.34', 1)}],"top_tokens":[[${tokens('-0.34', 1)}]]}}`,
  )
})

test('the likeliest of best_of wins and the others follow it', async () => {
  const parameters = { max_new_tokens: 1, best_of: 2, do_sample: true, details: true }
  const answer = JSON.parse(
    (await live.text('/generate', { inputs: 'x', parameters })).replaceAll(/"seed":(\d+)/g, '"seed":"$1"'),
  )
  const others = answer.details.best_of_sequences
  assert.equal(answer.details.tokens[0].logprob, -1)
  assert.equal(others.length, 1)
  assert.equal(others[0].tokens[0].logprob, -2)
  assert.notEqual(others[0].seed, answer.details.seed)
  assert.deepEqual(Object.keys(others[0]), [
    'generated_text',
    'finish_reason',
    'generated_tokens',
    'seed',
    'prefill',
    'tokens',
  ])
  assert.equal(live.llm.calls.length, 2)
})

test('best_of 0 is one generation', async () => {
  assert.equal(
    await live.text('/generate', { inputs: 'x', parameters: { best_of: 0, max_new_tokens: 1 } }),
    '{"generated_text":"w1"}',
  )
  assert.equal(live.llm.calls.length, 1)
})

test('without parameters a request samples, with any it is greedy', async () => {
  await live.text('/generate', { inputs: 'x' })
  await live.text('/generate', { inputs: 'x', parameters: {} })
  assert.deepEqual(
    live.llm.calls.map(({ options }) => options.doSample),
    [true, false],
  )
})

test('every parameter reaches the model, and only what was given', async () => {
  await live.text('/generate', { inputs: 'x', parameters: { adapter_id: 'nobody' } })
  const { signal: _, ...bare } = live.llm.calls[0]!.options
  assert.deepEqual(bare, { doSample: false, stop: [], promptLogprobs: false })
  const parameters = {
    temperature: 0.5,
    repetition_penalty: 1.5,
    frequency_penalty: 0.25,
    top_k: 4,
    top_p: 0.75,
    typical_p: 0.5,
    do_sample: true,
    max_new_tokens: 2,
    return_full_text: false,
    stop: ['\n'],
    truncate: 9,
    seed: 5,
    top_n_tokens: 2,
  }
  await live.text('/generate', { inputs: 'x', parameters })
  const { signal, ...given } = live.llm.calls[1]!.options
  assert.ok(signal instanceof AbortSignal)
  assert.deepEqual(given, {
    temperature: 0.5,
    repetitionPenalty: 1.5,
    frequencyPenalty: 0.25,
    topK: 4,
    topP: 0.75,
    typicalP: 0.5,
    doSample: true,
    maxNewTokens: 2,
    returnFullText: false,
    stop: ['\n'],
    truncate: 9,
    seed: 5n,
    topNTokens: 2,
    promptLogprobs: false,
  })
})

test('no heat means the likeliest token, a mass of 1 no cut, and one text to stop at a list of one', async () => {
  const signalless = ({ signal: _, ...options }: object & { signal?: unknown }) => options
  const cold = { temperature: 0, do_sample: true, top_k: 3, top_p: 0.5, max_new_tokens: 1 }
  await live.text('/generate', { inputs: 'x', parameters: cold })
  const whole = { top_p: 1, typical_p: 1, stop: 'end', max_new_tokens: 1 }
  await live.text('/generate', { inputs: 'x', parameters: whole })
  assert.deepEqual(
    live.llm.calls.map(({ options }) => signalless(options)),
    [
      { doSample: false, maxNewTokens: 1, stop: [], promptLogprobs: false },
      { doSample: false, maxNewTokens: 1, stop: ['end'], promptLogprobs: false },
    ],
  )
  const sampling = { temperature: 0, best_of: 2 }
  assert.match(await live.text('/generate', { inputs: 'x', parameters: sampling }), /you must use sampling/)
})

test('/tokenize tells tokens and where they stand', async () => {
  assert.equal(
    await live.text('/tokenize', { inputs: 'hé b', parameters: { truncate: 1 } }),
    '[{"id":0,"text":"hé","start":0,"stop":3},{"id":1,"text":"b","start":4,"stop":5}]',
  )
})

test('POST / answers with a list of one, the prompt in front unless told not to', async () => {
  const parameters = { max_new_tokens: 1 }
  assert.equal(await live.text('/', { inputs: 'ab ', parameters }), '[{"generated_text":"ab w1"}]')
  const without = { ...parameters, return_full_text: false }
  assert.equal(await live.text('/', { inputs: 'ab ', parameters: without }), '[{"generated_text":"w1"}]')
  assert.equal(await live.text('/generate', { inputs: 'ab ', parameters }), '{"generated_text":"w1"}')
})

test('POST / repeats no prompt for models of another task', async () => {
  const other = await LiveServer.start({ modelPipelineTag: 'text2text-generation' })
  const body = { inputs: 'ab ', parameters: { max_new_tokens: 1 } }
  assert.equal(await other.text('/', body), '[{"generated_text":"w1"}]')
  await other.close()
})

test('what fails in the engine is 424, what ends early 500, each with its type', async () => {
  const failures: readonly (readonly [inputs: string, status: number, body: string])[] = [
    [
      'fail',
      424,
      '{"error":"Request failed during generation: generation failed: the row gave NaN","error_type":"generation"}',
    ],
    ['boom', 424, '{"error":"Request failed during generation: not ours","error_type":"generation"}'],
    ['cut', 500, '{"error":"Incomplete generation","error_type":"incomplete_generation"}'],
  ]
  for (const [inputs, status, body] of failures) {
    const response = await live.post('/generate', { inputs })
    assert.equal(response.status, status)
    assert.equal(response.headers.get('content-type'), 'application/json')
    assert.equal(response.headers.get('x-compute-type'), null)
    assert.equal(await response.text(), body)
  }
})

test('one request too many is refused, before anything else is wrong with it; leaving gives the place back', async () => {
  const leave = new AbortController()
  const waiting = [1, 2].map(() => live.post('/generate', { inputs: 'hang' }, { signal: leave.signal }))
  await until(() => live.llm.running === 2, 'two requests run')
  const overload = '{"error":"Model is overloaded","error_type":"overloaded"}'
  for (const parameters of [{}, { temperature: -1 }]) {
    const response = await live.post('/generate', { inputs: 'x', parameters })
    assert.equal(response.status, 429)
    assert.equal(await response.text(), overload)
  }
  leave.abort()
  await Promise.allSettled(waiting)
  await until(() => live.llm.running === 0, 'both are given up')
  assert.equal(await live.text('/generate', { inputs: 'x' }), '{"generated_text":"w1 w2 w3"}')
})

test('a failed best_of run cancels the others, and a client that leaves cancels all', async () => {
  const before = live.llm.aborted
  const leave = new AbortController()
  const body = { inputs: 'hang', parameters: { best_of: 2, do_sample: true } }
  const gone = live.post('/generate', body, { signal: leave.signal }).catch(() => 'gone')
  await until(() => live.llm.running === 2, 'both run')
  leave.abort()
  assert.equal(await gone, 'gone')
  await until(() => live.llm.aborted === before + 2, 'both are aborted')
  const response = await live.post('/generate', { ...body, inputs: 'fail' })
  assert.equal(response.status, 424)
  await until(() => live.llm.running === 0, 'nothing runs')
})
