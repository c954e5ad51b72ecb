import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { findAddon } from '../backends/cpu/testing/find-addon.ts'
import { embeddedModel } from './embedded.ts'
import type { GenerateOptions, LLM, LoadOptions } from './index.ts'
import { load } from './load.ts'

/** Requests of every kind; the first is the one watched while the others share its steps. */
const requests: readonly [string, GenerateOptions][] = Array.from({ length: 16 }, (_, i) => [
  ['What is Deep Learning?', 'Once upon a time', 'Tell me about the weather in Paris. '.repeat(1 + (i % 5)), 'Hi'][
    i % 4
  ]!,
  {
    maxNewTokens: 24,
    seed: i,
    ...(i % 2 === 1 && { temperature: 0.8, topP: 0.9 }),
    ...(i % 3 === 2 && { repetitionPenalty: 1.2, topK: 20, typicalP: 0.95 }),
    topNTokens: i % 3,
    promptLogprobs: i % 5 === 0,
  },
])

type Answer = Awaited<ReturnType<LLM['generate']>>

/** All that must be equal; log-probabilities to the last bit. */
const bytesOf = ({ timings, ...rest }: Answer): string => {
  const json = JSON.stringify(rest, (_, v) => (typeof v === 'bigint' ? `${v}n` : v))
  return `${rest.text} ${createHash('sha256').update(json).digest('hex')}`
}

async function withModel<T>(options: LoadOptions, body: (llm: LLM) => Promise<T>): Promise<T> {
  const llm = await load(embeddedModel, { maxTotalTokens: 256, maxBatchSize: 16, ...options })
  try {
    return await body(llm)
  } finally {
    await llm.close()
  }
}

const together = (llm: LLM) => Promise.all(requests.map(([prompt, o]) => llm.generate(prompt, o).then(bytesOf)))

const { skip } = findAddon()

test('the same bytes alone, in a batch of 16, in any chunks, on any number of threads', {
  skip,
  timeout: 240_000,
}, async () => {
  const alone = await withModel({ backend: 'cpu', threads: 1 }, async (llm) => {
    const answers: string[] = []
    for (const [prompt, options] of requests) answers.push(bytesOf(await llm.generate(prompt, options)))
    return answers
  })
  for (const threads of [1, 2, 4]) {
    for (const maxBatchPrefillTokens of [1, 7, 64, 512]) {
      // A step has room for one token of every sequence in it, so small chunks mean small batches.
      const maxBatchSize = Math.min(16, maxBatchPrefillTokens)
      const options = { backend: 'cpu', threads, maxBatchPrefillTokens, maxBatchSize } as const
      assert.deepEqual(
        await withModel(options, together),
        alone,
        `${threads} threads, ${maxBatchPrefillTokens} tokens a step`,
      )
    }
  }
})
