import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { type LLM, load } from '../library/index.ts'
import { createServer } from './server.ts'

const prompt = 'Once upon a time'

let llm: LLM
let app: FastifyInstance
let url: string
before(async () => {
  llm = await load()
  app = createServer(llm, { logLevel: 'error' })
  url = await app.listen({ host: '127.0.0.1', port: 0 })
})
after(async () => {
  await app.close()
  await llm.close()
})

async function post(path: string, body: unknown): Promise<string> {
  const headers = { 'content-type': 'application/json' }
  return (await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) })).text()
}

/** JSON of the events of a stream. */
const events = (text: string) =>
  text
    .split('\n\n')
    .slice(0, -1)
    .map((frame) => JSON.parse(frame.slice('data: '.length)))

test('the embedded model answers the same over HTTP as in the process, whole and streamed', async () => {
  const direct = await llm.generate(prompt, { maxNewTokens: 12 })
  const parameters = { max_new_tokens: 12, details: true }
  const whole = JSON.parse(await post('/generate', { inputs: prompt, parameters }))
  assert.equal(whole.generated_text, direct.text)
  assert.deepEqual(
    whole.details.tokens.map((t: { id: number; logprob: number }) => [t.id, Math.fround(t.logprob)]),
    direct.tokens.map((t) => [t.id, Math.fround(t.logprob!)]),
  )
  const streamed = events(await post('/generate_stream', { inputs: prompt, parameters }))
  assert.equal(streamed.at(-1).generated_text, direct.text)
  assert.equal(streamed.map((e) => e.token.text).join(''), direct.text)
  assert.deepEqual(
    streamed.map((e) => e.index),
    direct.tokens.map((_, i) => i + 1),
  )
})

test('a seed gives the same bytes again, alone and among others', async () => {
  const body = { inputs: prompt, parameters: { max_new_tokens: 16, do_sample: true, seed: 42, details: true } }
  const alone = await post('/generate', body)
  const others = [1, 2, 3, 4].map((seed) =>
    post('/generate', { inputs: `${prompt} there`, parameters: { max_new_tokens: 20, do_sample: true, seed } }),
  )
  assert.equal(await post('/generate', body), alone)
  assert.equal(new Set(await Promise.all(others)).size, 4)
})

test('best_of draws differently and keeps the likelier', async () => {
  const parameters = { max_new_tokens: 8, do_sample: true, best_of: 2, details: true }
  const { details } = JSON.parse(await post('/generate', { inputs: prompt, parameters }))
  const [other] = details.best_of_sequences
  const mean = (tokens: readonly { logprob: number }[]) => tokens.reduce((sum, t) => sum + t.logprob, 0) / tokens.length
  assert.ok(mean(details.tokens) >= mean(other.tokens))
})

test('a prompt that does not fit is refused in the words clients know', async () => {
  const { maxTotalTokens } = llm.info
  const answer = JSON.parse(
    await post('/generate', { inputs: 'Once '.repeat(3000), parameters: { max_new_tokens: 8 } }),
  )
  assert.match(
    answer.error,
    new RegExp(
      `^Input validation error: \`inputs\` tokens \\+ \`max_new_tokens\` must be <= ${maxTotalTokens}. Given: \\d+ \`inputs\` tokens and 8 \`max_new_tokens\`$`,
    ),
  )
})

test('a client that leaves frees what it held', async () => {
  const leave = new AbortController()
  const body = JSON.stringify({ inputs: prompt, parameters: { do_sample: true, max_new_tokens: 900 } })
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`${url}/generate_stream`, { method: 'POST', headers, body, signal: leave.signal })
  await response.body!.getReader().read()
  leave.abort()
  for (let tries = 0; (await llm.stats()).running > 0; tries++) {
    assert.ok(tries < 200, 'it still runs')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  const { blocks } = await llm.stats()
  assert.equal(blocks.held, 0)
})
