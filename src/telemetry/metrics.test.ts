import assert from 'node:assert/strict'
import { test } from 'node:test'
import { durationBounds, durationBucket } from '../base/durations.ts'
import { Metrics } from './metrics.ts'

const reading = {
  waiting: 3,
  running: 2,
  blocks: { total: 10, free: 4, held: 6, cached: 1 },
  prefix: { tokens: 100, reused: 40 },
  preemptions: 1,
  steps: 7,
  tokensGenerated: 11,
  cancels: { count: 2, total: 30, longest: 20 },
}

const parts = <T>(all: T) => ({ inference: all, forward: all, decode: all, filter: all })

const metrics = () => new Metrics({ maxInputTokens: 1000, maxTotalTokens: 2000, blockTokens: 16 }, async () => reading)

test('bounds of durations are those of the reference server', () => {
  assert.equal(durationBounds.length, 35)
  assert.deepEqual(
    durationBounds.slice(0, 5),
    [0.00015000000000000001, 0.00022500000000000002, 0.0003375, 0.00050625, 0.000759375],
  )
  assert.equal(durationBounds[34], 145.61096060497135)
  const places = [0, 0.00015000000000000001, 0.0002, 1, 145.61096060497135, 146]
  assert.deepEqual(places.map(durationBucket), [0, 0, 1, 22, 34, 35])
})

test('what the engine counted of its steps is shown as it was counted', async () => {
  const durations = (at: number, sum: number) => ({ counts: Array.from({ length: 36 }, (_, i) => +(i === at)), sum })
  const none = { count: 0, failures: 0, ...parts(durations(-1, 0)) }
  const prefill = { count: 3, failures: 2, ...parts(durations(1, 0.0002)) }
  const stepCounts = { methods: { prefill, decode: none }, started: [5, 0, 2], joined: 4 }
  const text = await new Metrics({ maxInputTokens: 1, maxTotalTokens: 2 }, async () => ({
    ...reading,
    stepCounts,
  })).scrape()
  const lines = text.split('\n')
  for (const line of [
    '# TYPE tgi_batch_inference_duration histogram',
    'tgi_batch_inference_count{method="prefill"} 3',
    'tgi_batch_inference_success{method="prefill"} 1',
    'tgi_batch_inference_failure{method="prefill"} 2',
    'tgi_batch_forward_duration_bucket{method="prefill",le="0.00015000000000000001"} 0',
    'tgi_batch_forward_duration_bucket{method="prefill",le="0.00022500000000000002"} 1',
    'tgi_batch_forward_duration_bucket{method="prefill",le="+Inf"} 1',
    'tgi_batch_filter_duration_sum{method="prefill"} 0.0002',
    'tgi_batch_decode_duration_count{method="decode"} 0',
    'tgi_batch_next_size_bucket{le="2"} 5',
    'tgi_batch_next_size_bucket{le="1024"} 7',
    'tgi_batch_next_size_sum 11',
    'tgi_batch_concat{reason="chunking"} 4',
  ]) {
    assert.ok(lines.includes(line), `${line} is missing`)
  }
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
    'loquent_cancels 2',
    'loquent_cancel_to_free_seconds{kind="longest"} 0.02',
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

test('lengths are those of delivered generations', async () => {
  const m = metrics()
  m.began()
  m.failed('generation')
  const text = await m.scrape()
  assert.match(text, /^tgi_request_input_length_count 0$/m)
  assert.match(text, /^tgi_request_max_new_tokens_count 0$/m)
})
