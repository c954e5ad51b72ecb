import { stream } from './client.mjs'
import { firstTokenOf, median, quantile } from './measure.mjs'
import { promptOf } from './prompts.mjs'
import { startLoquent } from './server.mjs'

const running = 8
const promptTokens = 6000
/** More than a stream can have while the prompt is computed. */
const maxTokens = 1000
const args = ['--max-total-tokens', '8192', '--max-batch-total-tokens', '20480']

/** What a prompt of 6,000 tokens does to 8 streams that run: the gaps between their tokens with it and without. */
export async function longPrompt({ model, threads, random, say }) {
  const server = await startLoquent({ model, threads, args })
  try {
    const { calm, stormy, long } = await measure(server, random)
    const [without, during] = [calm, stormy].map((gaps) => ({ median: median(gaps), p99: quantile(gaps, 0.99) }))
    say(`the prompt took ${(firstTokenOf(long) / 1000).toFixed(1)} s; ${stormy.length} gaps meanwhile`)
    return {
      promptTokens: long.inputTokens,
      firstTokenMs: firstTokenOf(long),
      gapsWithoutMs: without,
      gapsDuringMs: during,
      gaps: [calm.length, stormy.length],
      ratio: during.p99 / without.p99,
      wanted: 'ratio < 3',
      holds: during.p99 / without.p99 < 3,
    }
  } finally {
    await server.stop()
  }
}

/** The streams run, for as long as the prompt takes without it, and then with it. */
async function measure(server, random) {
  const over = new AbortController()
  let steady
  const isSteady = new Promise((resolve) => {
    steady = resolve
  })
  const counts = new Set()
  const open = Array.from({ length: running }, (_, i) => {
    const onToken = ({ tokens }) => {
      if (tokens.length >= 20) counts.add(i)
      if (counts.size === running) steady()
    }
    return stream(server, { prompt: promptOf(random, 32), maxTokens, signal: over.signal, onToken })
  })
  await isSteady
  const from = performance.now()
  await new Promise((resolve) => setTimeout(resolve, 4000))
  const sent = performance.now()
  const long = await stream(server, { prompt: promptOf(random, promptTokens), maxTokens: 1 })
  over.abort()
  const results = await Promise.all(open)
  if (long.outcome !== 'completed') throw new Error(`the long prompt failed: ${long.reason}`)
  return { calm: gapsBetween(results, from, sent), stormy: gapsBetween(results, sent, long.tokens[0]), long }
}

/** Gaps of all streams that began or ended in this time. */
const gapsBetween = (results, from, to) =>
  results.flatMap(({ tokens }) =>
    tokens.slice(1).flatMap((time, i) => (time > from && tokens[i] < to ? [time - tokens[i]] : [])),
  )
