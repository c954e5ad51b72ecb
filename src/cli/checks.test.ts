import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CheckedFlags, checkFlags, UsageError } from './checks.ts'

const wrong: readonly (readonly [CheckedFlags, string])[] = [
  [{ sharded: true, numShard: 1 }, '`sharded` is true but `num_shard` <= 1'],
  [{ numShard: 0 }, '`num_shard` cannot be < 1'],
  [{ quantize: 'exl2', numShard: 2 }, 'Sharding is currently not supported with `exl2` quantization'],
  [
    { maxInputTokens: 3, maxInputLength: 4 },
    'Both `max_input_tokens` (3) and `max_input_length` (4) are set. The second is the old name of the first: give that alone.',
  ],
  [{ maxInputTokens: 9, maxTotalTokens: 9 }, '`max_input_tokens`(9) must be < `max_total_tokens`(9)'],
  [{ maxInputLength: 10, maxTotalTokens: 9 }, '`max_input_tokens`(10) must be < `max_total_tokens`(9)'],
  [{ validationWorkers: 0 }, '`validation_workers` must be > 0'],
  [
    { maxTotalTokens: 100, maxBatchTotalTokens: 99 },
    '`max_total_tokens` must be <= `max_batch_total_tokens`. Given: 100 and 99',
  ],
  [{ ngrok: true, ngrokEdge: 'e' }, '`ngrok-authtoken` must be set when using ngrok tunneling'],
  [{ ngrok: true, ngrokAuthtoken: 't' }, '`ngrok-edge` must be set when using ngrok tunneling'],
  [{ loraAdapters: 'a/b,c@d@e' }, 'Invalid LoRA adapter format: c@d@e'],
]

test('what flags cannot say together is told in the words of the reference, the first of it first', () => {
  for (const [flags, message] of wrong) {
    assert.throws(
      () => checkFlags(flags),
      (error) => error instanceof UsageError && error.message === message,
    )
  }
  const all = Object.assign({}, ...[...wrong].reverse().map(([flags]) => flags)) as CheckedFlags
  assert.throws(() => checkFlags(all), { message: wrong[0]![1] })
})

test('what fits together passes', () => {
  checkFlags({})
  checkFlags({ sharded: true, numShard: 2, quantize: 'gptq', loraAdapters: 'a@main,b=/c', validationWorkers: 1 })
  checkFlags({ maxInputLength: 8, maxTotalTokens: 9, maxBatchTotalTokens: 9, ngrok: false })
})
