import { measureDecode, measurePrefill, streamTokens } from '#dist/cli/measure.js'
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
  const sizes = held.map((c) => ({ batch: c.batch, tokens: streamTokens(c) + kvSlack }))
  const host = await startWorkerHost({
    ...engine,
    model,
    maxTotalTokens: Math.max(...sizes.map((s) => s.tokens)),
    maxBatchTotalTokens: Math.max(...sizes.map((s) => s.batch * s.tokens)),
    maxBatchSize: Math.max(...sizes.map((s) => s.batch)),
    maxBatchPrefillTokens: stepTokens,
  })
  let seed = 0
  const warm = { batch: 1, promptTokens: 64, newTokens: 4 }
  await measurePrefill(host, warm, seed)
  await measureDecode(host, warm, seed)
  return {
    dtype: host.facts.dtype,
    run: (c) => (c.kind === 'prefill' ? prefillRate(host, c, ++seed) : decodeRate(host, c)),
    close: () => host.close(),
  }
}

async function prefillRate(host: EngineHost, c: Case, seed: number): Promise<number> {
  return (await measurePrefill(host, c, seed)).rate
}

/** Every round continues the same prompts: in the first they are computed, then they are found. */
async function decodeRate(host: EngineHost, c: Case): Promise<number> {
  await measurePrefill(host, c, c.promptTokens)
  return (await measureDecode(host, c, c.promptTokens)).rate
}
