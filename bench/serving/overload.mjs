import { stream } from './client.mjs'
import { closedLoop, openLoop } from './load.mjs'
import { summarize } from './measure.mjs'
import { promptOf } from './prompts.mjs'
import { between, randomOf } from './random.mjs'
import { histogram, quantileBetween, startLlama, startLoquent } from './server.mjs'

const promptTokens = [16, 256]
const newTokens = [16, 128]
const clients = 32
const capacitySeconds = 20
/** Before a peer's load: its first requests would find it cold, and ours not. */
const warmSeconds = 5
const longestDrainMs = 60_000
const excess = 1.5
const longestStallMs = 5000
/** Share of its memory at a quarter of the time by which a server may have grown at the end. */
const memoryGrowth = 0.05

/** Requests of mixed lengths; the i-th of a seed is the same for every server. */
const workload = (seed) => (i) => {
  const random = randomOf(seed + 7919 * i)
  return { prompt: promptOf(random, between(random, promptTokens)), maxTokens: between(random, newTokens) }
}

/**
 * One and a half times what the server can do, for `seconds`; the same arrivals against llama.cpp's server, at each of its
 * settings in turn. Every part has a limit of its own: the longest is a start, a warm-up, the load, and its drain.
 */
export async function overload({ model, threads, seed, seconds, llama, say }) {
  const drainMs = Math.max(5_000, Math.min(longestDrainMs, (seconds * 1000) / 2))
  const server = await startLoquent({
    model,
    threads,
    args: ['--max-total-tokens', '4096', '--max-batch-total-tokens', '16384'],
  })
  let ours
  let rate
  try {
    await touchMemory(server, seed)
    rate = excess * (await capacity(server, { seed, seconds: Math.min(capacitySeconds, seconds) }))
    say(`capacity ${(rate / excess).toFixed(2)} requests/s; ${rate.toFixed(2)} will come`)
    const queued = () => histogram(server, 'tgi_request_queue_duration')
    const before = await queued()
    ours = await loaded(server, { rate, seconds, drainMs, seed: seed + 1 })
    ours = { ...ours, queueP99Ms: 1000 * quantileBetween(before, await queued(), 0.99) }
    say(lineOf('loquent', ours))
  } finally {
    await server.stop()
  }
  const load = { rate, seconds, drainMs, seed: seed + 1 }
  const peers = llama ? await beside({ ...llama, model: llama.model ?? model, threads, load, say }) : []
  const ran = peers.filter((peer) => peer.tokensPerSecond > 0)
  const best = ran.length > 0 && ran.reduce((a, b) => (b.tokensPerSecond > a.tokensPerSecond ? b : a))
  const [, quarter, end] = ours.residentMiB
  const growth = Math.max(0, end / quarter - 1)
  const holds = ours.lost === 0 && ours.gapMs.longest < longestStallMs && growth < memoryGrowth
  const faster = best && ours.tokensPerSecond / best.tokensPerSecond
  return {
    arrivalsPerSecond: rate,
    ...ours,
    growth,
    ...(best && { peer: best, faster }),
    ...(peers.length > 0 && { peers }),
    wanted: `none lost, no gap over 5 s, growth < ${memoryGrowth}${best ? ', 3 times as fast' : ''}`,
    holds: holds && (!best || faster >= 3),
  }
}

/** Fills the KV cache once: memory that was promised and never used would otherwise look like growth. */
async function touchMemory(server, seed) {
  const random = randomOf(seed)
  for (let i = 0; i < 4; i++) await stream(server, { prompt: promptOf(random, 3900), maxTokens: 1 })
}

/** Requests a second that a server answers with all its clients waiting, from the tokens of the later half of a time. */
async function capacity(server, { seed, seconds }) {
  const { results, to } = await closedLoop(server, { clients, seconds, requestOf: workload(seed) })
  const from = to - (seconds * 1000) / 2
  const tokens = results.flatMap((r) => r.tokens).filter((time) => time > from && time <= to)
  const perRequest = results.reduce((sum, r) => sum + r.tokens.length, 0) / results.length
  return (1000 * tokens.length) / (to - from) / perRequest
}

/** The load, with the server's memory at its start, after a quarter of it and at its end. Lost: failed, or cut off at last. */
async function loaded(server, { rate, seconds, drainMs, seed }) {
  const residentMiB = [server.residentMiB()]
  const look = setTimeout(() => residentMiB.push(server.residentMiB()), (seconds * 1000) / 4)
  const load = { rate, seconds, drainMs, random: randomOf(seed), requestOf: workload(seed) }
  const { results, from, to } = await openLoop(server, load)
  clearTimeout(look)
  residentMiB.push(server.residentMiB())
  const reasons = [...new Set(results.filter((r) => r.outcome === 'failed').map((r) => r.reason))].slice(0, 5)
  const summary = summarize(results, from, to)
  return { ...summary, lost: summary.failed + summary.cut, residentMiB, reasons }
}

/** What llama.cpp's server makes of the same arrivals, at each number of slots and threads. */
async function beside({ binary, model, parallel, threadCounts, args, threads, load, say }) {
  const settings = (threads ? [threads] : threadCounts).flatMap((t) => parallel.map((slots) => ({ slots, threads: t })))
  const limitMs = warmSeconds * 1000 + load.seconds * 1000 + 2 * load.drainMs
  say(`llama-server: ${settings.length} settings, ${((settings.length * limitMs) / 60_000).toFixed(0)} minutes at most`)
  const peers = []
  for (const setting of settings) {
    const name = `llama-server, ${setting.slots} slots, ${setting.threads} threads`
    const peer = await besideOne({ ...setting, binary, model, args, load }).catch((error) => ({ error: error.message }))
    peers.push({ ...setting, ...peer })
    say(peer.error ? `${name}: ${peer.error}` : lineOf(name, peer))
  }
  return peers
}

async function besideOne({ binary, model, args, slots, threads, load }) {
  const server = await startLlama({ binary, model, threads, parallel: slots, context: 512, args })
  try {
    const warm = { clients: slots, seconds: warmSeconds, drainMs: load.drainMs, requestOf: workload(load.seed + 1) }
    await closedLoop(server, warm)
    return await loaded(server, load)
  } finally {
    await server.stop()
  }
}

function lineOf(
  name,
  { tokensPerSecond, requests, completed, refused, lost, firstTokenMs, gapMs, residentMiB, queueP99Ms },
) {
  const counts = `${completed} of ${requests} completed, ${refused} refused, ${lost} lost`
  const queue = queueP99Ms === undefined ? '' : `, queue p99 ${queueP99Ms.toFixed(0)} ms`
  const times = `first token p99 ${firstTokenMs.p99.toFixed(0)} ms${queue}, longest gap ${gapMs.longest.toFixed(0)} ms`
  const memory = `${residentMiB[0].toFixed(0)} to ${residentMiB.at(-1).toFixed(0)} MiB`
  return `${name}: ${tokensPerSecond.toFixed(0)} tokens/s; ${counts}; ${times}; ${memory}`
}
