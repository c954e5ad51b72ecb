// What HTTP costs, apart from any model: node scripts/build.mjs && node bench/http-overhead.mjs [rounds]
//
// The server stands over a language model that has all tokens ready, so that what is measured is the server's own. The
// client is a process of its own. Two numbers:
//   first byte   latency of a one-token request seen by the client, less that of the same call in the process (medians)
//   per token    CPU time of the server's process for a token of 64 streams, less that of reading the same streams in it
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { createServer } from '../dist/serve/server.js'

const streams = 64
const tokensEach = 400
const requests = 300
const streamed = {
  '/generate_stream': `{"inputs":"x","parameters":{"max_new_tokens":${tokensEach}}}`,
  '/v1/chat/completions': `{"messages":[{"role":"user","content":"x"}],"stream":true,"max_tokens":${tokensEach}}`,
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]

const token = { id: 100, text: ' word', logprob: Math.fround(-1.2345), special: false }
const final = (generatedTokens) => ({
  text: ' word',
  finishReason: 'length',
  generatedTokens,
  seed: null,
  inputTokens: 1,
  prefill: [],
  tokens: [token],
  topTokens: [],
  timings: { queue: 0, inference: 0 },
})

/** All tokens are there; a step gives one to every stream, as an engine's does. */
class ReadyLLM {
  info = { modelId: 'ready', vocabulary: 1000, maxTotalTokens: 4096, maxInputTokens: 4095, maxTopTokens: 5 }
  state = 'serving'
  #step

  async *stream(_prompt, { maxNewTokens = 1 } = {}) {
    for (let index = 1; index <= maxNewTokens; index++) {
      if (maxNewTokens > 1) await this.#next()
      const event = { index, token, topTokens: [] }
      yield index < maxNewTokens ? event : { ...event, final: final(maxNewTokens) }
    }
  }

  async generate(prompt, options) {
    for await (const event of this.stream(prompt, options)) if (event.final) return event.final
  }

  render() {
    return 'prompt'
  }

  async stats() {
    return { running: 0, waiting: 0, steps: 0 }
  }

  async close() {}

  #next() {
    this.#step ??= new Promise((resolve) =>
      setImmediate(() => {
        this.#step = undefined
        resolve()
      }),
    )
    return this.#step
  }
}

const post = (path, body) =>
  `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`

/** Milliseconds each call of `work` takes, one after the other. */
async function timesOf(work) {
  const times = []
  for (let i = 0; i < requests; i++) {
    const start = performance.now()
    await work()
    times.push(performance.now() - start)
  }
  return times
}

/** Median milliseconds until the first byte of an answer; the next request waits for its last. */
async function firstByte(port) {
  const socket = connect(port, '127.0.0.1').setNoDelay(true)
  const request = post('/generate', '{"inputs":"x","parameters":{"max_new_tokens":1}}')
  const times = []
  for (let i = 0; i < requests; i++) {
    const start = performance.now()
    socket.write(request)
    let [received] = await once(socket, 'data')
    times.push(performance.now() - start)
    while (!received.toString().endsWith('{"generated_text":" word"}')) {
      received = Buffer.concat([received, (await once(socket, 'data'))[0]])
    }
  }
  socket.destroy()
  return median(times)
}

async function readStream(port, path) {
  const socket = connect(port, '127.0.0.1')
  socket.write(post(path, streamed[path]))
  let tail = ''
  for await (const chunk of socket) {
    tail = (tail + chunk).slice(-64)
    if (tail.endsWith('0\r\n\r\n')) break
  }
  socket.destroy()
}

/** The client's process: does what it is told, and says when it is done. */
async function client() {
  process.on('message', async ({ port, path }) => {
    if (path === undefined) return process.send({ first: await firstByte(port) })
    await Promise.all(Array.from({ length: streams }, () => readStream(port, path)))
    return process.send({})
  })
}

/** Microseconds of this process's CPU time. */
async function cost(work) {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return user + system
}

async function server(rounds) {
  const llm = new ReadyLLM()
  const app = createServer(llm, { logLevel: 'silent' })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address()
  const child = fork(fileURLToPath(import.meta.url), ['client'])
  const ask = async (task) => {
    child.send({ port, ...task })
    const [answer] = await once(child, 'message')
    return answer
  }
  const first = []
  const perToken = Object.fromEntries(Object.keys(streamed).map((path) => [path, []]))
  for (let round = 0; round <= rounds; round++) {
    const seen = (await ask({})).first
    const direct = median(await timesOf(() => llm.generate('x', { maxNewTokens: 1 })))
    // The first round does not count: code is still being compiled.
    if (round > 0) first.push(seen - direct)
    for (const path of Object.keys(streamed)) {
      const runs = () => Array.from({ length: streams }, () => llm.generate('x', { maxNewTokens: tokensEach }))
      const bare = await cost(() => Promise.all(runs()))
      const served = await cost(() => ask({ path }))
      if (round > 0) perToken[path].push((served - bare) / (streams * tokensEach))
    }
  }
  console.log(`first byte of a one-token request: ${median(first).toFixed(3)} ms over the call itself (target < 1)`)
  for (const [path, micros] of Object.entries(perToken)) {
    console.log(`${path}, ${streams} streams: ${median(micros).toFixed(2)} us of CPU a token (target < 15)`)
  }
  child.kill()
  await app.close()
}

const [argument = '5'] = process.argv.slice(2)
await (argument === 'client' ? client() : server(Number(argument)))
