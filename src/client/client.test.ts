import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { LiveServer, until } from '../serve/testing/live-server.ts'
import { errorOf } from './errors.ts'
import {
  BadRequestError,
  Client,
  ConnectionError,
  GenerationError,
  IncompleteGenerationError,
  NotFoundError,
  OverloadedError,
  RateLimitExceededError,
  ShardNotReadyError,
  ShardTimeoutError,
  TextGenerationError,
  UnknownError,
  ValidationError,
} from './index.ts'

let live: LiveServer
let client: Client
before(async () => {
  live = await LiveServer.start({ maxConcurrentRequests: 2 })
  client = new Client(live.url('/'), { retries: 0 })
})
after(() => live.close())

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** Runs `use` with a server that answers its requests in turn. */
async function withServer(
  handlers: readonly Handler[],
  use: (url: string, asked: IncomingMessage[]) => Promise<void>,
): Promise<void> {
  const asked: IncomingMessage[] = []
  const server = createServer((request, response) => {
    const handler = handlers[Math.min(asked.push(request), handlers.length) - 1]!
    handler(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

const answer =
  (status: number, body: string, headers: Record<string, string> = {}): Handler =>
  (_request, response) =>
    response.writeHead(status, headers).end(body)
const stream = (body: string): Handler => answer(200, body, { 'content-type': 'text/event-stream' })
const ok = answer(200, '{"generated_text":"x"}')

test('generate', async () => {
  const { generated_text: text, details } = await client.generate('a b', {
    max_new_tokens: 3,
    details: true,
    seed: 2n ** 64n - 1n,
    do_sample: true,
  })
  assert.equal(text, 'w1 w2 w3')
  assert.equal(details!.seed, 18446744073709551615n)
  assert.deepEqual(
    details!.tokens.map((token) => token.text),
    ['w1', ' w2', ' w3'],
  )
  assert.equal(live.llm.calls.at(-1)!.options.seed, 2n ** 64n - 1n)
  assert.equal((await client.generate('a', { max_new_tokens: 1, temperature: null })).details, undefined)
})

test('generateStream', async () => {
  const events = await all(client.generateStream('a b', { max_new_tokens: 3, details: true }))
  assert.deepEqual(
    events.map(({ token }) => token.text),
    ['w1', ' w2', ' w3'],
  )
  assert.equal(events.at(-1)!.generated_text, 'w1 w2 w3')
  assert.equal(events.at(-1)!.details!.generated_tokens, 3)
})

test('completions', async () => {
  const request = { prompt: 'a b', max_tokens: 3 }
  const { choices, usage } = await client.completion(request)
  assert.equal(choices[0]!.text, 'w1 w2 w3')
  assert.equal(usage.completion_tokens, 3)
  const chunks = await all(client.completionStream({ ...request, stream_options: { include_usage: true } }))
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.text ?? '').join(''), 'w1 w2 w3')
})

test('chats', async () => {
  const request = { messages: [{ role: 'user', content: 'a b' }], max_tokens: 3, seed: 2n ** 63n }
  const { choices, usage } = await client.chat(request)
  assert.equal(choices[0]!.message.content, 'w1 w2 w3')
  assert.equal(choices[0]!.finish_reason, 'length')
  assert.equal(usage.completion_tokens, 3)
  const chunks = await all(client.chatStream({ ...request, stream_options: { include_usage: true } }))
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join(''), 'w1 w2 w3')
  assert.equal(chunks.at(-1)!.usage!.completion_tokens, 3)
})

test('info, models, health', async () => {
  assert.equal((await client.info()).model_id, 'scripted')
  assert.equal((await client.models()).data[0]!.id, 'scripted')
  assert.equal(await client.health(), true)
  await withServer([answer(503, '{"error":"unhealthy","error_type":"healthcheck"}')], async (url, asked) => {
    assert.equal(await new Client(url).health(), false)
    assert.equal(asked.length, 1)
  })
  assert.equal(await new Client('http://127.0.0.1:1').health(), false)
})

test('errors of a running server, in answers and in streams', async () => {
  await assert.rejects(client.generate('a', { max_new_tokens: 10_000 }), ValidationError)
  await assert.rejects(all(client.generateStream('a', { max_new_tokens: 10_000 })), ValidationError)
  await assert.rejects(client.generate('fail'), GenerationError)
  await assert.rejects(all(client.generateStream('fail')), GenerationError)
  await assert.rejects(client.generate('cut'), IncompleteGenerationError)
  await assert.rejects(all(client.generateStream('cut')), IncompleteGenerationError)
  await assert.rejects(client.completion({ prompt: 'a', max_tokens: 10_000 }), ValidationError)
  await assert.rejects(all(client.completionStream({ prompt: 'fail' })), TextGenerationError)
  await assert.rejects(client.chat({ messages: [{ role: 'broken', content: 'x' }] }), (error: TextGenerationError) => {
    assert.deepEqual([error.name, error.status, error.type], ['UnknownError', 422, 'template_error'])
    return true
  })
})

test('a stream that is left, or aborted, ends the generation', async () => {
  const { llm } = live
  for await (const _ of client.generateStream('endless')) break
  await until(() => llm.running === 0, 'the generation ended')
  const abort = new AbortController()
  const reason = new Error('enough')
  const reading = (async () => {
    for await (const _ of client.generateStream('endless', {}, { signal: abort.signal })) abort.abort(reason)
  })()
  await assert.rejects(reading, reason)
  await until(() => llm.running === 0, 'the generation ended')
  const waiting = new AbortController()
  const hanging = client.generate('hang', {}, { signal: waiting.signal })
  await until(() => llm.running === 1, 'it began')
  waiting.abort(reason)
  await assert.rejects(hanging, reason)
  await until(() => llm.running === 0, 'the generation ended')
})

test('a full server', async () => {
  const abort = new AbortController()
  const hanging = ['hang', 'hang'].map((prompt) =>
    client.generate(prompt, {}, { signal: abort.signal }).catch(() => {}),
  )
  await until(() => live.llm.running === 2, 'the server is full')
  await assert.rejects(client.generate('a'), OverloadedError)
  // The server asks to come back in a second; by then there is room.
  const patient = new Client(live.url('/v1/'), { retries: 3 }).generate('a', { max_new_tokens: 1 })
  setTimeout(() => abort.abort(), 100)
  assert.equal((await patient).generated_text, 'w1')
  await Promise.all(hanging)
})

test('retries: where they may help, as often as said, no sooner than asked', async () => {
  const busy = answer(503, 'not yet', { 'retry-after': '0' })
  await withServer([busy, busy, ok], async (url, asked) => {
    assert.equal((await new Client(url).generate('a')).generated_text, 'x')
    assert.equal(asked.length, 3)
  })
  await withServer([busy], async (url, asked) => {
    await assert.rejects(new Client(url, { retries: 4 }).generate('a'), /UnknownError: not yet/)
    assert.equal(asked.length, 5)
  })
  for (const status of [400, 422, 424, 500]) {
    await withServer([answer(status, 'no')], async (url, asked) => {
      await assert.rejects(new Client(url).generate('a'), TextGenerationError)
      assert.equal(asked.length, 1)
    })
  }
  await withServer([answer(429, '{"error":"x"}', { 'retry-after': '3600' })], async (url, asked) => {
    await assert.rejects(new Client(url).generate('a'), RateLimitExceededError)
    assert.equal(asked.length, 1, 'an hour is too long')
  })
  await withServer([(request) => request.socket.destroy(), ok], async (url) => {
    assert.equal((await new Client(url).generate('a')).generated_text, 'x')
  })
  await assert.rejects(new Client('http://127.0.0.1:1', { retries: 0 }).generate('a'), ConnectionError)
  await withServer([answer(429, '', { 'retry-after': '20' })], async (url) => {
    const reason = new Error('enough')
    await assert.rejects(new Client(url).generate('a', {}, { signal: abortSoon(reason) }), reason)
  })
})

function abortSoon(reason: Error): AbortSignal {
  const abort = new AbortController()
  setTimeout(() => abort.abort(reason), 30)
  return abort.signal
}

test('headers', async () => {
  await withServer([ok], async (url, asked) => {
    const named = new Client(`${url}/v1`, { apiKey: 'k', headers: { 'x-a': '1', 'x-b': '1' } })
    await named.generate('a', {}, { headers: { 'x-b': '2' } })
    const { method, headers, url: path } = asked[0]!
    assert.deepEqual([method, path], ['POST', '/generate'])
    assert.deepEqual([headers.authorization, headers['x-a'], headers['x-b']], ['Bearer k', '1', '2'])
    assert.equal(headers['content-type'], 'application/json')
  })
})

test('streams that are cut, are none, or are no JSON', async () => {
  const event =
    'data: {"index":1,"token":{"id":1,"text":"a","logprob":0,"special":false},"generated_text":null,"details":null}\n\n'
  const read = (url: string) => all(new Client(url, { retries: 0 }).generateStream('a'))
  await withServer([stream(event)], (url) => assert.rejects(read(url), IncompleteGenerationError))
  const cut: Handler = (_request, response) => {
    response
      .writeHead(200, { 'content-type': 'text/event-stream' })
      .write(event, () => setTimeout(() => response.destroy(), 20))
  }
  await withServer([cut], (url) => assert.rejects(read(url), ConnectionError))
  await withServer([ok], (url) => assert.rejects(read(url), /asked for a stream/))
  await withServer([stream('data: {\n\n')], (url) => assert.rejects(read(url), /no JSON/))
  await withServer([answer(200, 'x')], (url) => assert.rejects(new Client(url).generate('a'), UnknownError))
})

/** Frames as the server that these protocols come from sends them. */
test('a chat, streamed: pieces, usage, [DONE]', async () => {
  const around = '"object":"chat.completion.chunk","id":"","created":1,"model":"m","system_fingerprint":"f"'
  const chunk = (content: string, reason: string) =>
    `data: {${around},"choices":[{"index":0,"delta":{"role":"assistant","content":"${content}"},"logprobs":null,"finish_reason":${reason}}],"usage":null}\n\n`
  const usage = `data: {${around},"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}\n\n`
  const frames = `:\n\n${chunk('a', 'null')}${chunk('b', '"stop"')}${usage}data: [DONE]\n\n`
  const input = { messages: [{ role: 'user', content: 'x' }], stream_options: { include_usage: true }, seed: 5n }
  await withServer([stream(frames)], async (url) => {
    const chunks = await all(new Client(url).chatStream(input))
    assert.equal(chunks.map((c) => c.choices[0]?.delta.content ?? '').join(''), 'ab')
    assert.equal(chunks.at(-1)!.usage!.total_tokens, 3)
  })
  const error = 'data: {"error":{"message":"it broke","http_status_code":422}}\n\n'
  await withServer([stream(chunk('a', 'null') + error)], async (url) => {
    const expected = { name: 'UnknownError', message: 'it broke', status: 422 }
    await assert.rejects(all(new Client(url).chatStream(input)), expected)
  })
})

test('errors have the classes of the Python client', () => {
  const cases: [number, unknown, new (...args: never[]) => TextGenerationError][] = [
    [422, { error: 'm', error_type: 'validation' }, ValidationError],
    [424, { error: 'm', error_type: 'generation' }, GenerationError],
    [500, { error: 'm', error_type: 'incomplete_generation' }, IncompleteGenerationError],
    [429, { error: 'm', error_type: 'overloaded' }, OverloadedError],
    [400, { error: 'm' }, BadRequestError],
    [403, { error: 'm' }, ShardNotReadyError],
    [424, { error: 'm', error_type: 'other' }, ShardNotReadyError],
    [504, { error: 'm' }, ShardTimeoutError],
    [404, 'm', NotFoundError],
    [429, { error: 'm' }, RateLimitExceededError],
    [422, { error: 'm', error_type: 'template_error' }, UnknownError],
    [418, { error: 'm', error_type: 'toString' }, UnknownError],
  ]
  for (const [status, body, Class] of cases) {
    const error = errorOf(status, body)
    assert.equal(error.constructor, Class, JSON.stringify(body))
    assert.deepEqual([error.name, error.message, error.status], [Class.name, 'm', status])
  }
  for (const body of [null, '', 5, [], {}, { error: null }])
    assert.equal(errorOf(500, body).message, 'the server answered 500')
})

test('the client needs nothing but what browsers have', () => {
  const folder = new URL('./', import.meta.url)
  const sources = readdirSync(folder).filter((name) => /\.[jt]s$/.test(name) && !/\.(test|d)\./.test(name))
  assert.ok(sources.length >= 6)
  for (const name of sources) {
    const text = readFileSync(new URL(name, folder), 'utf8')
    for (const [, what, from] of text.matchAll(/^(?:import|export) (type )?[^'"]*? from '([^']+)'/gm))
      assert.ok(what || from!.startsWith('./'), `${name} imports ${from}`)
    assert.doesNotMatch(text, /\b(process|Buffer|require|setImmediate|__dirname)\b/, name)
  }
})
