import type { EngineHost } from '../engine/host.ts'
import type { GenerateSpec } from '../engine/spec.ts'

/** Requests that begin together: `batch` prompts of `promptTokens`, each to be continued by at least `newTokens`. */
export interface Workload {
  readonly batch: number
  readonly promptTokens: number
  readonly newTokens: number
}

/** What one run of a workload showed. Times in milliseconds, rates in tokens a second over all streams. */
export interface Measured {
  /** From the start to the first token, for each stream. */
  readonly firstToken: readonly number[]
  /** Prompt tokens of all streams over the time until the last of them had its first token. */
  readonly prefillRate: number
  /** Tokens generated while all streams were generating. */
  readonly decodeRate: number
  /** Between one token and the next of a stream, in the same time. */
  readonly gaps: readonly number[]
}

const greedy = {
  sampling: false,
  seed: 0n,
  temperature: 1,
  topK: 0,
  topP: 1,
  typicalP: 1,
  repetitionPenalty: 1,
  frequencyPenalty: 0,
} as const

/** Steps in which early streams already generate, at the expense of the prompts of late ones. */
const overlap = (w: Workload, stepTokens: number): number =>
  Math.ceil((w.batch * w.promptTokens) / Math.max(1, stepTokens - w.batch)) + 1

/** Tokens that a stream of the workload takes of the context. */
export function streamTokens(w: Workload, stepTokens: number): number {
  return w.promptTokens + 1 + w.newTokens + (w.batch > 1 ? overlap(w, stepTokens) : 0)
}

/**
 * Runs a workload once and watches its tokens arrive. Ids are drawn from `seed`, so that runs with different seeds
 * share no prefix; no id ends a stream early. `stepTokens` is the engine's token budget of a step.
 */
export async function measure(host: EngineHost, w: Workload, seed: number, stepTokens: number): Promise<Measured> {
  const maxNewTokens = streamTokens(w, stepTokens) - w.promptTokens
  const begin = performance.now()
  const streams = Array.from({ length: w.batch }, (_, i) =>
    arrivals(host, spec(host, w.promptTokens, maxNewTokens, seed * w.batch + i), begin),
  )
  return summary(w, await Promise.all(streams))
}

/** Rates and gaps from when each token of each stream arrived. */
export function summary(w: Workload, times: readonly (readonly number[])[]): Measured {
  const firstToken = times.map((t) => t[0]!)
  const from = Math.max(...firstToken)
  const to = Math.min(...times.map((t) => t.at(-1)!))
  const gaps = times.flatMap((t) =>
    t.flatMap((at, i) => (i > 0 && t[i - 1]! >= from && at <= to ? [at - t[i - 1]!] : [])),
  )
  const generated = times.reduce((sum, t) => sum + t.filter((at) => at > from && at <= to).length, 0)
  return {
    firstToken,
    prefillRate: (1000 * w.batch * w.promptTokens) / from,
    decodeRate: (1000 * generated) / (to - from),
    gaps,
  }
}

async function arrivals(host: EngineHost, request: GenerateSpec, begin: number): Promise<number[]> {
  const times: number[] = []
  for await (const { tokens } of host.submit(request)) {
    const now = performance.now() - begin
    for (const _ of tokens) times.push(now)
  }
  return times
}

function spec(host: EngineHost, promptTokens: number, maxNewTokens: number, seed: number): GenerateSpec {
  const promptIds = randomIds(promptTokens, host.facts.vocabulary, seed)
  return { promptIds, maxNewTokens, eosIds: [], sampling: greedy, topTokens: 0, promptLogprobs: false }
}

/** A linear congruential generator (Knuth's constants) is random enough for ids that mean nothing. */
function randomIds(count: number, vocabulary: number, seed: number): number[] {
  let state = BigInt(seed + 1)
  return Array.from({ length: count }, () => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n)
    return Number((state >> 33n) % BigInt(vocabulary))
  })
}
