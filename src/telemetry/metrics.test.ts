import assert from 'node:assert/strict'
import { test } from 'node:test'
import { durationBounds, Metrics } from './metrics.ts'

const reading = {
  waiting: 3,
  running: 2,
  blocks: { total: 10, free: 4, held: 6, cached: 1 },
  prefix: { tokens: 100, reused: 40 },
  preemptions: 1,
  steps: 7,
  tokensGenerated: 11,
}

const metrics = () => new Metrics({ maxInputTokens: 1000, maxTotalTokens: 2000, blockTokens: 16 }, async () => reading)

test('bounds of durations are those of the reference server', () => {
  assert.equal(durationBounds.length, 35)
  assert.deepEqual(
    durationBounds.slice(0, 5),
    [0.00015000000000000001, 0.00022500000000000002, 0.0003375, 0.00050625, 0.000759375],
  )
  assert.equal(durationBounds[34], 145.61096060497135)
})

test('a delivered generation moves every request metric', async () => {
  const m = metrics()
  m.began()
  m.began()
  m.failed('validation')
  m.delivered({
    totalMs: 300,
    validationMs: 1,
    queueMs: 50,
    inferenceMs: 200,
    inputTokens: 15,
    generatedTokens: 10,
    maxNewTokens: 20,
  })
  const text = await m.scrape()
  for (const line of [
    'tgi_request_count 2',
    'tgi_request_success 1',
    'tgi_request_failure{err="validation"} 1',
    'tgi_request_duration_sum 0.3',
    'tgi_request_queue_duration_sum 0.05',
    'tgi_request_mean_time_per_token_duration_sum 0.02',
    'tgi_request_input_length_bucket{le="10"} 0',
    'tgi_request_input_length_bucket{le="20"} 1',
    'tgi_request_generated_tokens_sum 10',
    'tgi_request_max_new_tokens_bucket{le="20"} 1',
    'tgi_queue_size 3',
    'tgi_batch_current_size 2',
    'tgi_batch_current_max_tokens 96',
    'loquent_kv_blocks{state="cached"} 1',
    'loquent_prefix_tokens{kind="reused"} 40',
  ]) {
    assert.ok(text.split('\n').includes(line), `${line} is missing`)
  }
  assert.match(text, /# TYPE tgi_request_skipped_tokens summary/)
  assert.match(text, /# TYPE tgi_request_duration histogram/)
  assert.doesNotMatch(text, /_total\b/)
})

test('two instances share nothing', async () => {
  const [a, b] = [metrics(), metrics()]
  a.began()
  assert.match(await b.scrape(), /tgi_request_count 0/)
})
