import { stream } from './client.mjs'
import { closedLoop, openLoop } from './load.mjs'
import { summarize } from './measure.mjs'
import { promptOf } from './prompts.mjs'
import { between, randomOf } from './random.mjs'
import { startLlama, startLoquent } from './server.mjs'

const promptTokens = [16, 256]
const newTokens = [16, 128]
const clients = 32
const capacitySeconds = 20
const excess = 1.5
const longestStallMs = 5000
/** Share of its memory at a quarter of the time by which a server may have grown at the end. */
const memoryGrowth = 0.05

/** Requests of mixed lengths; the i-th of a seed is the same for every server. */
const workload = (seed) => (i) => {
  const random = randomOf(seed + 7919 * i)
  return { prompt: promptOf(random, between(random, promptTokens)), maxTokens: between(random, newTokens) }
}

/** One and a half times what the server can do, for `seconds`; the same arrivals against llama.cpp's server. */
export async function overload({ model, threads, seed, seconds, llama, say }) {
  const server = await startLoquent({
    model,
    threads,
    args: ['--max-total-tokens', '4096', '--max-batch-total-tokens', '16384'],
  })
  let ours
  let rate
  try {
    await touchMemory(server, seed)
    rate = excess * (await capacity(server, seed))
    say(`capacity ${(rate / excess).toFixed(2)} requests/s`)
    ours = await loaded(server, { rate, seconds, seed: seed + 1 })
  } finally {
    await server.stop()
  }
  const peer =
    llama && (await beside({ ...llama, model: llama.model ?? model, threads, rate, seconds, seed: seed + 1, say }))
  const [quarter, end] = ours.residentMiB
  const growth = Math.max(0, end / quarter - 1)
  const holds = ours.failed + ours.cut === 0 && ours.gapMs.longest < longestStallMs && growth < memoryGrowth
  const faster = peer && ours.tokensPerSecond / peer.tokensPerSecond
  return {
    arrivalsPerSecond: rate,
    ...ours,
    growth,
    ...(peer && { peer, faster }),
    wanted: `none failed, no gap over 5 s, growth < ${memoryGrowth}${peer ? ', 3 times as fast' : ''}`,
    holds: holds && (!peer || faster >= 3),
  }
}

/** Fills the KV cache once: memory that was promised and never used would otherwise look like growth. */
async function touchMemory(server, seed) {
  const random = randomOf(seed)
  for (let i = 0; i < 4; i++) await stream(server, { prompt: promptOf(random, 3900), maxTokens: 1 })
}

/** Requests a second that a server answers with all its clients waiting, from the tokens of the later half of a time. */
async function capacity(server, seed) {
  const { results, to } = await closedLoop(server, { clients, seconds: capacitySeconds, requestOf: workload(seed) })
  const from = to - (capacitySeconds * 1000) / 2
  const tokens = results.flatMap((r) => r.tokens).filter((time) => time > from && time <= to)
  const perRequest = results.reduce((sum, r) => sum + r.tokens.length, 0) / results.length
  return (1000 * tokens.length) / (to - from) / perRequest
}

/** The load, with the server's memory after a quarter of it and at its end. */
async function loaded(server, { rate, seconds, seed }) {
  const residentMiB = []
  const look = setTimeout(() => residentMiB.push(server.residentMiB()), (seconds * 1000) / 4)
  const load = { rate, seconds, random: randomOf(seed), requestOf: workload(seed) }
  const { results, from, to } = await openLoop(server, load)
  clearTimeout(look)
  residentMiB.push(server.residentMiB())
  const reasons = [...new Set(results.filter((r) => r.outcome === 'failed').map((r) => r.reason))].slice(0, 5)
  return { ...summarize(results, from, to), residentMiB, reasons }
}

async function beside({ binary, model, parallel, args, threads, rate, seconds, seed, say }) {
  let best
  for (const slots of parallel) {
    const server = await startLlama({ binary, model, threads, parallel: slots, context: 512, args })
    try {
      const summary = { slots, ...(await loaded(server, { rate, seconds, seed })) }
      say(`llama-server, ${slots} slots: ${summary.tokensPerSecond.toFixed(0)} tokens/s`)
      if (!best || summary.tokensPerSecond > best.tokensPerSecond) best = summary
    } finally {
      await server.stop()
    }
  }
  return best
}
