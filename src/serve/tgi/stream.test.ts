import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { LiveServer, rawPost, until } from '../testing/live-server.ts'

let live: LiveServer
before(async () => {
  live = await LiveServer.start({ maxConcurrentRequests: 2 })
})
after(() => live.close())

const event = (index: number, text: string, rest = '"generated_text":null,"details":null'): string =>
  `data: {"index":${index},"token":{"id":${100 + index},"text":"${text}","logprob":-0.34,"special":false},${rest}}\n\n`

test('a stream is an event a token, the text with the last', async () => {
  const response = await live.post('/generate_stream', { inputs: 'hé', parameters: { max_new_tokens: 2 } })
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('content-type'), 'text/event-stream')
  assert.equal(response.headers.get('cache-control'), 'no-cache')
  assert.equal(response.headers.get('x-accel-buffering'), 'no')
  assert.equal(response.headers.get('x-compute-type'), 'cpu')
  assert.equal(response.headers.get('x-compute-characters'), '2')
  assert.equal(response.headers.get('x-total-time'), null)
  assert.equal(response.headers.get('access-control-allow-origin'), '*')
  assert.equal(await response.text(), event(1, 'w1') + event(2, ' w2', '"generated_text":"w1 w2","details":null'))
})

test('details end the stream when asked for, top tokens stand beside each', async () => {
  const parameters = { max_new_tokens: 1, details: true, top_n_tokens: 2, return_full_text: true }
  assert.equal(
    await live.text('/generate_stream', { inputs: 'a b', parameters }),
    event(
      1,
      'w1',
      '"top_tokens":[{"id":101,"text":"w1","logprob":-0.34,"special":false},{"id":102,"text":"w1","logprob":-0.34,"special":false}],' +
        '"generated_text":"a bw1","details":{"finish_reason":"length","generated_tokens":1,"seed":null,"input_length":2}',
    ),
  )
})

test('a sampled stream tells its seed whole', async () => {
  const body =
    '{"inputs":"x","parameters":{"max_new_tokens":1,"do_sample":true,"details":true,"seed":18446744073709551614}}'
  assert.match(await live.text('/generate_stream', body), /"seed":18446744073709551614,"input_length":1\}\}\n\n$/)
})

test('POST / streams when asked to', async () => {
  const body = { inputs: 'a ', parameters: { max_new_tokens: 1 }, stream: true }
  assert.equal(await live.text('/', body), event(1, 'w1', '"generated_text":"a w1","details":null'))
})

test('an error is the last event', async () => {
  assert.equal(
    await live.text('/generate_stream', { inputs: 'fail' }),
    'data: {"error":"Request failed during generation: generation failed: the row gave NaN","error_type":"generation"}\n\n',
  )
  const cut = await live.text('/generate_stream', { inputs: 'cut', parameters: { max_new_tokens: 1 } })
  assert.equal(
    cut,
    `${event(1, 'w1')}data: {"error":"Incomplete generation stream","error_type":"incomplete_generation_stream"}\n\n`,
  )
})

test('a client that leaves ends its generation and gives its place back', async () => {
  const before = live.llm.aborted
  const leaving = [1, 2].map(async () => {
    const socket = live.socket()
    socket.write(rawPost('/generate_stream', '{"inputs":"slow","parameters":{"max_new_tokens":60}}'))
    await once(socket, 'data')
    return socket
  })
  const sockets = await Promise.all(leaving)
  assert.equal(
    await live.text('/generate_stream', { inputs: 'x', parameters: { temperature: 0 } }),
    'data: {"error":"Model is overloaded","error_type":"overloaded"}\n\n',
  )
  for (const socket of sockets) socket.destroy()
  await until(() => live.llm.aborted === before + 2, 'both are aborted')
  assert.equal(live.llm.running, 0)
  assert.match(await live.text('/generate_stream', { inputs: 'x' }), /^data: \{"index":1/)
})

test('a client that does not read stops the model, and goes on where it stopped', async () => {
  const socket = live.socket()
  socket.pause()
  socket.write(rawPost('/generate_stream', '{"inputs":"endless"}'))
  const stalled = await produced()
  assert.ok(stalled * 4000 < 50_000_000, `${stalled} tokens are waiting`)
  let bytes = 0
  socket.on('data', (chunk) => {
    bytes += chunk.length
  })
  socket.resume()
  await until(() => bytes > stalled * 4000 && live.llm.produced > stalled + 10, 'it goes on')
  const before = live.llm.aborted
  socket.destroy()
  await until(() => live.llm.aborted === before + 1, 'it is aborted')
})

/** Tokens produced so far, once no more are. */
async function produced(): Promise<number> {
  let seen = -1
  while (seen !== live.llm.produced || seen < 10) {
    seen = live.llm.produced
    await sleep(150)
  }
  return seen
}

test('a client that leaves while it is behind is noticed', async () => {
  const before = live.llm.aborted
  const socket = live.socket()
  socket.pause()
  socket.write(rawPost('/generate_stream', '{"inputs":"endless"}'))
  await until(() => live.llm.running === 1, 'it runs')
  await produced()
  socket.destroy()
  await until(() => live.llm.aborted === before + 1, 'it is aborted')
})

test('a client that never reads is dropped', async () => {
  const strict = await LiveServer.start({ stallMs: 50 })
  const socket = strict.socket()
  socket.on('error', () => {})
  socket.pause()
  socket.write(rawPost('/generate_stream', '{"inputs":"endless"}'))
  await until(() => strict.llm.aborted === 1, 'it is dropped')
  socket.destroy()
  await strict.close()
})

test('silence is broken by comments', async () => {
  const quiet = await LiveServer.start({ keepAliveMs: 30 })
  const socket = quiet.socket()
  socket.write(rawPost('/generate_stream', '{"inputs":"hang"}'))
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  await until(() => text.split(':\n\n').length > 3, 'three comments came')
  assert.match(text, /^HTTP\/1.1 200 OK\r\n/)
  socket.destroy()
  await until(() => quiet.llm.running === 0, 'it is aborted')
  await quiet.close()
})

test('where tokens come, no comments do', async () => {
  const busy = await LiveServer.start({ keepAliveMs: 400 })
  const text = await busy.text('/generate_stream', { inputs: 'slow', parameters: { max_new_tokens: 30 } })
  assert.equal(text.split('data: ').length, 31)
  assert.doesNotMatch(text, /\n:\n/)
  await busy.close()
})
