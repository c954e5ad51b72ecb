import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { stream } from './client.mjs'
import { gapsOf, median, quantile } from './measure.mjs'
import { perToken, processorTimes } from './processor.mjs'
import { promptOf } from './prompts.mjs'
import { startLoquent } from './server.mjs'

const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const shape = { streams: 32, promptTokens: 64, newTokens: 128 }

/** How much of the engine's decode rate reaches 32 clients; engine and server in turn, medians. */
export async function streams({ model, threads, rounds, random, say }) {
  const engine = []
  const served = []
  const costs = []
  let gaps = []
  for (let round = 0; round < rounds; round++) {
    engine.push(await engineRate(model, threads))
    const args = ['--max-batch-size', String(shape.streams), '--max-batch-total-tokens', '16384']
    const server = await startLoquent({ model, threads, args })
    // Once before: what the first requests compile is no cost of a token.
    await together(server, random)
    const before = processorTimes(server.pid)
    const results = await together(server, random)
    costs.push(perToken(before, processorTimes(server.pid), results.flatMap((r) => r.tokens).length))
    await server.stop()
    served.push(sharedRate(results))
    gaps = results.flatMap(gapsOf)
    say(`round ${round + 1}: engine ${engine.at(-1).toFixed(0)}, served ${served.at(-1).toFixed(0)} tokens/s`)
  }
  const [engineTokens, servedTokens] = [median(engine), median(served)]
  return {
    engineTokensPerSecond: engineTokens,
    servedTokensPerSecond: servedTokens,
    gapMs: { median: median(gaps), p99: quantile(gaps, 0.99) },
    share: servedTokens / engineTokens,
    processorMicrosecondsPerToken: medians(costs),
    wanted: 'share >= 0.85',
    holds: servedTokens / engineTokens >= 0.85,
  }
}

const medians = (rows) =>
  Object.fromEntries(Object.keys(rows[0]).map((name) => [name, median(rows.map((row) => row[name]))]))

async function engineRate(model, threads) {
  const sizes = { '--prompt-tokens': shape.promptTokens, '--new-tokens': shape.newTokens, '--batch': shape.streams }
  const flags = Object.entries(sizes).flatMap(([flag, value]) => [flag, String(value)])
  const own = [cli, 'bench', '--model-id', model, '--rounds', '1', ...(threads ? ['--threads', String(threads)] : [])]
  const { stdout } = await promisify(execFile)(process.execPath, [...own, ...flags])
  return JSON.parse(stdout.trim().split('\n').at(-1)).lines[0].decodeRate
}

function together(server, random) {
  const prompts = Array.from({ length: shape.streams }, () => promptOf(random, shape.promptTokens))
  return Promise.all(prompts.map((prompt) => stream(server, { prompt, maxTokens: shape.newTokens })))
}

/** Tokens a second while all of the streams that ran to the end were decoding. */
function sharedRate(results) {
  const whole = results.filter((r) => r.tokens.length === shape.newTokens)
  const from = Math.max(...results.map((r) => r.tokens[0]))
  const to = Math.min(...whole.map((r) => r.tokens.at(-1)))
  const tokens = results.flatMap((r) => r.tokens).filter((time) => time > from && time <= to)
  return (1000 * tokens.length) / (to - from)
}
