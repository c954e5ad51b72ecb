import { measure, streamTokens } from '#dist/cli/measure.js'
import type { EngineHost } from '#dist/engine/host.js'
import type { EngineOptions } from '#dist/engine/spec.js'
import { startWorkerHost } from '#dist/engine/worker-host.js'
import type { Case } from './cases.ts'

const stepTokens = 512
/** A stream takes whole blocks, and one more is asked for before it starts. */
const kvSlack = 64

/** Our engine with a model, for cases whose streams fit. */
export interface Ours {
  readonly dtype: string
  run(c: Case): Promise<number>
  close(): Promise<void>
}

export async function openOurs(model: string, held: readonly Case[], engine: Partial<EngineOptions>): Promise<Ours> {
  const sizes = held.map((c) => ({ batch: c.batch, tokens: streamTokens(c, stepTokens) + kvSlack }))
  const host = await startWorkerHost({
    ...engine,
    model,
    maxTotalTokens: Math.max(...sizes.map((s) => s.tokens)),
    maxBatchTotalTokens: Math.max(...sizes.map((s) => s.batch * s.tokens)),
    maxBatchSize: Math.max(...sizes.map((s) => s.batch)),
    maxBatchPrefillTokens: stepTokens,
  })
  let seed = 0
  await measure(host, { batch: 1, promptTokens: 64, newTokens: 4 }, seed++, stepTokens)
  return {
    dtype: host.facts.dtype,
    run: (c) => rate(host, c, ++seed),
    close: () => host.close(),
  }
}

async function rate(host: EngineHost, c: Case, seed: number): Promise<number> {
  const { prefillRate, decodeRate } = await measure(host, c, seed, stepTokens)
  return c.kind === 'prefill' ? prefillRate : decodeRate
}
