import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { load } from '../library/load.ts'
import type { LLM } from '../library/types.ts'
import { listen } from './server.ts'

/** Names and types of the reference server's catalogue. */
const catalogue = {
  tgi_request_count: 'counter',
  tgi_request_success: 'counter',
  tgi_request_failure: 'counter',
  tgi_request_duration: 'histogram',
  tgi_request_validation_duration: 'histogram',
  tgi_request_queue_duration: 'histogram',
  tgi_request_inference_duration: 'histogram',
  tgi_request_mean_time_per_token_duration: 'histogram',
  tgi_request_generated_tokens: 'histogram',
  tgi_request_input_length: 'histogram',
  tgi_request_max_new_tokens: 'histogram',
  tgi_request_skipped_tokens: 'summary',
  tgi_queue_size: 'gauge',
  tgi_batch_next_size: 'histogram',
  tgi_batch_current_size: 'gauge',
  tgi_batch_current_max_tokens: 'gauge',
  tgi_batch_concat: 'counter',
  tgi_batch_inference_count: 'counter',
  tgi_batch_inference_success: 'counter',
  tgi_batch_inference_failure: 'counter',
  tgi_batch_inference_duration: 'histogram',
  tgi_batch_forward_duration: 'histogram',
  tgi_batch_decode_duration: 'histogram',
  tgi_batch_filter_duration: 'histogram',
}

const newTokens = 8

describe('metrics of a server over a real engine', () => {
  let llm: LLM
  let app: FastifyInstance
  let text: string

  const url = (path: string) => `http://127.0.0.1:${(app.server.address() as { port: number }).port}${path}`

  const post = (path: string, body: unknown) =>
    fetch(url(path), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })

  const scrape = async () => {
    const scraped = await fetch(url('/metrics'))
    assert.equal(scraped.headers.get('content-type'), 'text/plain; charset=utf-8')
    return scraped.text()
  }

  before(async () => {
    llm = await load(undefined, { maxTotalTokens: 128 })
    app = await listen(llm, { hostname: '127.0.0.1', port: 0, logLevel: 'silent' })
    await (await post('/generate', { inputs: 'Once upon', parameters: { max_new_tokens: newTokens } })).text()
    text = await scrape()
  })

  after(async () => {
    await app?.close()
    await llm?.close()
  })

  test('every metric of the catalogue is there with its type', () => {
    const types = Object.fromEntries([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]))
    for (const [name, type] of Object.entries(catalogue)) assert.equal(types[name], type, name)
    assert.equal(types['tgi_batch_concat_duration'], undefined)
    assert.match(text, /^tgi_batch_inference_failure\{method="decode"\} 0$/m)
  })

  test('one generation was one prompt and a step for each token after its first', () => {
    const sampleOf = (series: string) =>
      Number(
        text
          .split('\n')
          .find((l) => l.startsWith(`${series} `))
          ?.split(' ')[1],
      )
    const counted = (method: string) => sampleOf(`tgi_batch_inference_count{method="${method}"}`)
    assert.equal(counted('prefill'), 1)
    assert.equal(counted('decode'), sampleOf('tgi_request_generated_tokens_sum') - 1)
    for (const part of ['inference', 'forward', 'decode', 'filter']) {
      assert.equal(sampleOf(`tgi_batch_${part}_duration_count{method="decode"}`), counted('decode'))
      assert.ok(sampleOf(`tgi_batch_${part}_duration_sum{method="decode"}`) > 0)
    }
    assert.equal(sampleOf('tgi_batch_next_size_sum'), 1)
    assert.equal(sampleOf('tgi_batch_inference_failure{method="decode"}'), 0)
    assert.equal(sampleOf('tgi_batch_current_max_tokens'), 0)
    assert.ok(llm.info.blockTokens! > 0)
  })

  test('prompts of one request are generations, the request itself is none', async () => {
    const before = /^tgi_request_count (\d+)$/m
    const body = { model: 'tgi', prompt: ['Once', 'Upon'], max_tokens: 1 }
    await (await post('/v1/completions', body)).text()
    assert.equal(Number(before.exec(await scrape())![1]), Number(before.exec(text)![1]) + 2)
  })

  test('Prometheus reads it', (t) => {
    const { status, error, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' })
    if (error) return t.skip('promtool is not installed')
    // 3: read, but names are not as it likes them; they are those of the reference.
    assert.ok(status === 0 || status === 3, stderr)
  })
})
