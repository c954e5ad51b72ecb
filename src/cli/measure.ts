import type { EngineHost } from '../engine/host.ts'
import { type GenerateSpec, greedy } from '../engine/spec.ts'

/** Requests that begin together: `batch` prompts of `promptTokens`, each to be continued by at least `newTokens`. */
export interface Workload {
  readonly batch: number
  readonly promptTokens: number
  readonly newTokens: number
}

/** Times in milliseconds, rates in tokens a second over all streams. */
export interface Prefill {
  /** From the start to the first token, for each stream. */
  readonly firstToken: readonly number[]
  /** Prompt tokens of all streams over the time until the last of them had its first token. */
  readonly rate: number
}

export interface Decode {
  /** Tokens generated while all streams were generating. */
  readonly rate: number
  /** Between one token and the next of a stream, in the same time. */
  readonly gaps: readonly number[]
}

/** Tokens of the context that a stream may take: those that start first generate more than those that start last. */
export const streamTokens = (w: Workload): number => w.promptTokens + 1 + w.newTokens + (w.batch > 1 ? w.batch : 0)

/** Runs the prompts of a workload up to their first tokens, all at once. Different seeds share no prefix. */
export async function measurePrefill(host: EngineHost, w: Workload, seed: number): Promise<Prefill> {
  const times = await runAll(host, w, seed, 1)
  const firstToken = times.map((t) => t[0]!)
  return { firstToken, rate: (1000 * w.batch * w.promptTokens) / Math.max(...firstToken) }
}

/**
 * Continues the prompts of a workload that `measurePrefill` ran with the same seed: the engine finds them computed, so
 * that all streams generate from the beginning. No id ends a stream early.
 */
export async function measureDecode(host: EngineHost, w: Workload, seed: number): Promise<Decode> {
  return decodeOf(await runAll(host, w, seed, streamTokens(w) - w.promptTokens))
}

/** Rate and gaps of the time from when the last stream has its first token to when the first stream has its last. */
export function decodeOf(times: readonly (readonly number[])[]): Decode {
  const from = Math.max(...times.map((t) => t[0]!))
  const to = Math.min(...times.map((t) => t.at(-1)!))
  const within = (at: number) => at > from && at <= to
  const gaps = times.flatMap((t) => t.flatMap((at, i) => (i > 0 && within(at) ? [at - t[i - 1]!] : [])))
  const generated = times.reduce((sum, t) => sum + t.filter(within).length, 0)
  return { rate: to > from ? (1000 * generated) / (to - from) : Number.NaN, gaps }
}

/** When each token of each stream arrived, from the start. */
function runAll(host: EngineHost, w: Workload, seed: number, maxNewTokens: number): Promise<number[][]> {
  const begin = performance.now()
  const requests = Array.from({ length: w.batch }, (_, i) => {
    const promptIds = randomIds(w.promptTokens, host.facts.vocabulary, seed * w.batch + i)
    return { promptIds, maxNewTokens, eosIds: [], sampling: greedy, topTokens: 0, promptLogprobs: false }
  })
  return Promise.all(requests.map((request) => arrivals(host, request, begin)))
}

async function arrivals(host: EngineHost, request: GenerateSpec, begin: number): Promise<number[]> {
  const times: number[] = []
  for await (const { tokens } of host.submit(request)) {
    const now = performance.now() - begin
    for (const _ of tokens) times.push(now)
  }
  return times
}

/** A linear congruential generator (Knuth's constants) is random enough for ids that mean nothing. */
function randomIds(count: number, vocabulary: number, seed: number): number[] {
  let state = BigInt(seed + 1)
  return Array.from({ length: count }, () => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n)
    return Number((state >> 33n) % BigInt(vocabulary))
  })
}
