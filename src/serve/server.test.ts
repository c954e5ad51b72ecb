import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { fail } from '../base/errors.ts'
import type { EngineStats } from '../engine/spec.ts'
import { LiveServer, rawPost, until } from './testing/live-server.ts'

let live: LiveServer
before(async () => {
  live = await LiveServer.start({ payloadLimit: 2000, healthDeadlineMs: 50 })
})
after(() => live.close())

const jsonRoutes = ['/generate', '/generate_stream', '/']

test('a body that is not called JSON is refused before it is read', async () => {
  for (const path of jsonRoutes) {
    for (const type of ['text/plain', 'application/jsonx', 'json', 'application/x-www-form-urlencoded']) {
      const response = await live.post(path, 'x'.repeat(3000), { headers: { 'content-type': type } })
      assert.equal(response.status, 415)
      assert.equal(response.headers.get('content-type'), 'text/plain; charset=utf-8')
      assert.equal(await response.text(), 'Expected request with `Content-Type: application/json`')
    }
  }
  const bare = await live.raw(`POST /generate HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}`)
  assert.match(bare, /^HTTP\/1.1 415 /)
})

test('other JSON media types are read', async () => {
  for (const type of [
    'application/json; charset=utf-8',
    'Application/JSON',
    'application/ld+json',
    'application/json;',
  ]) {
    const response = await live.post('/generate', '{"inputs":"x"}', { headers: { 'content-type': type } })
    assert.equal(response.status, 200, type)
  }
})

test('a body over the limit is refused, announced or not', async () => {
  const text = 'Failed to buffer the request body: length limit exceeded'
  const large = await live.post('/generate', { inputs: 'x'.repeat(3000) })
  assert.equal(large.status, 413)
  assert.equal(large.headers.get('content-type'), 'text/plain; charset=utf-8')
  assert.equal(await large.text(), text)
  const chunk = 'x'.repeat(3000)
  const chunked = await live.raw(
    `POST /generate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${chunk.length.toString(16)}\r\n${chunk}\r\n0\r\n\r\n`,
  )
  assert.match(chunked, /^HTTP\/1.1 413 /)
  assert.ok(chunked.endsWith(text))
  assert.equal((await live.post('/generate', `{"inputs":"x"}${' '.repeat(1986)}`)).status, 200)
})

test('what is not JSON is 400, what is JSON of another shape 422, both plain text', async () => {
  const refused: readonly (readonly [body: string, status: number, text: string])[] = [
    ['', 400, 'Failed to parse the request body as JSON: EOF while parsing a value at line 1 column 0'],
    ['{"inputs":', 400, 'Failed to parse the request body as JSON: EOF while parsing a value at line 1 column 10'],
    [
      '{"inputs":"\\ud800"}',
      400,
      'Failed to parse the request body as JSON: unexpected end of hex escape at line 1 column 18',
    ],
    ['[]', 422, 'Failed to deserialize the JSON body into the target type: invalid type: sequence, expected struct '],
    ['{}', 422, 'Failed to deserialize the JSON body into the target type: missing field `inputs` at line 1 column 2'],
    [
      '{"inputs":"x","parameters":{"top_k":"é"}}',
      422,
      'Failed to deserialize the JSON body into the target type: parameters.top_k: invalid type: string "é", expected i32 at line 1 column 40',
    ],
  ]
  for (const path of jsonRoutes) {
    for (const [body, status, text] of refused) {
      const response = await live.post(path, body)
      assert.equal(response.status, status, body)
      assert.equal(response.headers.get('content-type'), 'text/plain; charset=utf-8')
      const answer = await response.text()
      assert.equal(answer.slice(0, text.length), text)
    }
  }
})

test('bytes that are not UTF-8 are 400', async () => {
  const body = Buffer.concat([Buffer.from('{"inputs":"é'), Buffer.from([0xff]), Buffer.from('"}')])
  const response = await live.post('/generate', '', { body })
  assert.equal(response.status, 400)
  assert.equal(
    await response.text(),
    'Failed to parse the request body as JSON: invalid unicode code point at line 1 column 13',
  )
})

test('what follows the value is not looked at', async () => {
  assert.equal(await live.text('/generate', '{"inputs":"x"} and so on'), '{"generated_text":"w1 w2 w3"}')
})

test('an unknown path is 404, a wrong method 405 with those that are right, both empty', async () => {
  const answers: readonly (readonly [method: string, path: string, status: number, allow: string | null])[] = [
    ['GET', '/nowhere', 404, null],
    ['POST', '/generate/', 404, null],
    ['POST', '/Generate', 404, null],
    ['GET', '/%zz', 404, null],
    ['GET', '/generate', 405, 'POST'],
    ['HEAD', '/generate_stream?a=b', 405, 'POST'],
    ['POST', '/info', 405, 'GET,HEAD'],
    ['DELETE', '/', 405, 'GET,HEAD,POST'],
    ['PROPFIND', '/health', 405, 'GET,HEAD'],
  ]
  for (const [method, path, status, allow] of answers) {
    const response = await fetch(live.url(path), { method })
    assert.equal(response.status, status, `${method} ${path}`)
    assert.equal(response.headers.get('allow'), allow)
    assert.equal(await response.text(), '')
  }
})

test('GET routes answer HEAD', async () => {
  for (const path of ['/', '/health', '/ping', '/info']) {
    const response = await fetch(live.url(path), { method: 'HEAD' })
    assert.equal(response.status, 200)
    assert.equal(await response.text(), '')
  }
})

test('/info tells the limits, every key present', async () => {
  const response = await fetch(live.url('/info?x=1'))
  assert.equal(response.headers.get('content-type'), 'application/json')
  assert.equal(
    await response.text(),
    '{"model_id":"scripted","model_sha":null,"model_pipeline_tag":null,"max_concurrent_requests":128,"max_best_of":2,' +
      '"max_stop_sequences":4,"max_input_tokens":32,"max_total_tokens":64,"validation_workers":2,"max_client_batch_size":4,' +
      '"router":"text-generation-router","version":"0.0.0","sha":null,"docker_label":null}',
  )
})

test('health is the engine answering in time, whatever happened to a request', async () => {
  assert.equal((await live.post('/generate', { inputs: 'fail' })).status, 424)
  for (const path of ['/', '/health', '/ping']) {
    const response = await fetch(live.url(path))
    assert.equal(response.status, 200)
    assert.equal(await response.text(), '')
  }
  let asked = 0
  let answer = (_: EngineStats): void => {}
  live.llm.onStats = () => {
    asked++
    return new Promise((resolve) => {
      answer = resolve
    })
  }
  const probes = await Promise.all([1, 2, 3].map(() => fetch(live.url('/health'))))
  for (const probe of probes) {
    assert.equal(probe.status, 503)
    assert.equal(await probe.text(), '{"error":"unhealthy","error_type":"healthcheck"}')
  }
  assert.equal(asked, 1)
  answer({} as EngineStats)
  live.llm.onStats = async () => fail('engine.stopped', { reason: 'killed' })
  await sleep(1)
  assert.equal((await fetch(live.url('/health'))).status, 503)
  live.llm.onStats = async () => ({}) as EngineStats
  assert.equal((await fetch(live.url('/health'))).status, 200)
})

test('every answer says who may read it; every OPTIONS is answered', async () => {
  const vary = 'origin, access-control-request-method, access-control-request-headers'
  for (const [method, path] of [
    ['GET', '/info'],
    ['GET', '/nowhere'],
    ['POST', '/generate'],
  ] as const) {
    const { headers } = await fetch(live.url(path), { method })
    assert.equal(headers.get('access-control-allow-origin'), '*')
    assert.equal(headers.get('vary'), vary)
  }
  for (const path of ['/generate', '/nowhere', '/info']) {
    const response = await fetch(live.url(path), { method: 'OPTIONS' })
    assert.equal(response.status, 200)
    assert.equal(await response.text(), '')
    assert.equal(response.headers.get('access-control-allow-methods'), 'GET,POST')
    assert.equal(response.headers.get('access-control-allow-headers'), 'content-type')
    assert.equal(response.headers.get('vary'), vary)
  }
})

test('listed origins are echoed to the letter', async () => {
  const listed = await LiveServer.start({ corsAllowOrigin: ['https://a.example'] })
  const allowed = async (origin: string) =>
    (await fetch(listed.url('/info'), { headers: { origin } })).headers.get('access-control-allow-origin')
  assert.equal(await allowed('https://a.example'), 'https://a.example')
  assert.equal(await allowed('https://A.example'), null)
  assert.equal(await allowed('https://b.example'), null)
  await listed.close()
})

const malformed: readonly (readonly [bytes: string, answer: RegExp])[] = [
  ['\r\n\r\nGARBAGE\r\n\r\n', /^HTTP\/1.1 400 /],
  ['GET / HTTP/9.9\r\n\r\n', /^HTTP\/1.1 \d{3} /],
  ['POST /generate HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n', /^HTTP\/1.1 400 /],
  [
    'POST /generate HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    /^HTTP\/1.1 4\d\d /,
  ],
  [
    'POST /generate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
    /^HTTP\/1.1 400 |^$/,
  ],
  [`GET /info HTTP/1.1\r\nhost: x\r\nx-long: ${'a'.repeat(20_000)}\r\n\r\n`, /^HTTP\/1.1 431 /],
  ['GET /info HTTP/1.1\r\n\r\n', /^HTTP\/1.1 (400|200) /],
  [rawPost('/generate', '{"inputs":"x"}', 'expect: a miracle\r\n'), /^HTTP\/1.1 417 /],
]

test('what is not HTTP is refused and leaves the server serving', async () => {
  for (const [bytes, answer] of malformed)
    assert.match(await live.raw(bytes), answer, JSON.stringify(bytes.slice(0, 60)))
  const short = live.socket()
  short.write(
    'POST /generate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{"inp',
  )
  await sleep(20)
  short.destroy()
  assert.equal((await fetch(live.url('/health'))).status, 200)
})

test('two requests on one connection are answered in turn', async () => {
  const body = '{"inputs":"x","parameters":{"max_new_tokens":1}}'
  const answers = await live.raw(
    rawPost('/generate', body) + rawPost('/generate_stream', body, 'connection: close\r\n'),
  )
  assert.equal(answers.split('HTTP/1.1 200 OK').length, 3)
  assert.ok(answers.indexOf('{"generated_text":"w1"}') < answers.indexOf('data: {"index":1'))
})

test('closing finishes what is open and accepts nothing new', async () => {
  const closing = await LiveServer.start()
  const body = { inputs: 'slow', parameters: { max_new_tokens: 10 } }
  const open = [closing.text('/generate', body), closing.text('/generate_stream', body)]
  await until(() => closing.llm.running === 2, 'both run')
  const { port } = closing
  const silent = closing.socket()
  await once(silent, 'connect')
  const started = performance.now()
  const closed = closing.close()
  await assert.rejects(fetch(`http://127.0.0.1:${port}/info`))
  const [whole, streamed] = await Promise.all(open)
  assert.match(whole!, /w10"\}$/)
  assert.match(streamed!, /"generated_text":"w1 .* w10","details":null\}\n\n$/)
  await closed
  assert.ok(performance.now() - started < 3000, 'connections that ask nothing hold it back')
})

test('log lines are text or JSON, one a line, without the prompt', async () => {
  for (const jsonOutput of [false, true]) {
    const logged = await LiveServer.start({ jsonOutput })
    await logged.text('/generate', { inputs: 'secret' })
    await logged.text('/generate', { inputs: 'fail secret' })
    await logged.close()
    const line = logged.log.find((l) => l.includes('generated'))!
    if (jsonOutput) {
      const { generatedTokens, level, message, target, timestamp } = JSON.parse(line)
      assert.deepEqual([generatedTokens, level, message, target], [3, 'INFO', 'generated', 'loquent'])
      assert.ok(Math.abs(Date.parse(timestamp) - Date.now()) < 60_000)
    } else assert.match(line, /^\d{4}-\S+Z {2}INFO generated .*generatedTokens=3.*\n$/)
    assert.ok(logged.log.some((l) => l.includes('the row gave NaN')))
    assert.ok(!logged.log.join('').includes('secret'))
  }
})

/** Bodies near a right one: a right one with a part changed, or any JSON, or any text. */
const strangeBody = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.json(),
  fc
    .tuple(
      fc.constantFrom(
        'best_of',
        'temperature',
        'top_k',
        'top_p',
        'max_new_tokens',
        'stop',
        'truncate',
        'seed',
        'grammar',
        'details',
      ),
      fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.double(), fc.bigInt().map(String)),
      fc.oneof(fc.constant('x'), fc.jsonValue({ maxDepth: 1 })),
    )
    .map(([key, value, inputs]) => JSON.stringify({ inputs, parameters: { max_new_tokens: 2, [key]: value } })),
  fc.tuple(fc.nat(60), fc.string({ unit: 'binary', maxLength: 3 })).map(([at, piece]) => {
    const right = '{"inputs":"x y z","parameters":{"max_new_tokens":2,"stop":["a"]},"stream":true}'
    return right.slice(0, at) + piece + right.slice(at + 1)
  }),
)

test('no body makes the server fail, and it keeps answering', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...jsonRoutes), strangeBody, async (path, body) => {
      const response = await live.post(path, body)
      await response.text()
      assert.ok(response.status < 500, `${response.status} for ${body}`)
    }),
    { numRuns: 400 },
  )
  assert.equal(await live.text('/generate', { inputs: 'x' }), '{"generated_text":"w1 w2 w3"}')
  assert.equal(live.llm.running, 0)
})

test('random bytes on the socket never stop the server', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.boolean(), async (bytes, wellBegun) => {
      const socket = live.socket()
      socket.on('error', () => {})
      socket.write(wellBegun ? 'POST /generate HTTP/1.1\r\nhost: x\r\n' : '')
      socket.end(bytes)
      socket.resume()
      await once(socket, 'close')
    }),
    { numRuns: 100 },
  )
  assert.equal((await fetch(live.url('/health'))).status, 200)
})
