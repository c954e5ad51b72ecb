import { openBackend } from '../backends/select.ts'
import { fail } from '../base/errors.ts'
import type { Limits } from '../ops/domain.ts'
import { frameLayout } from '../ops/frame.ts'
import { openCheckpoint } from '../weights/open.ts'
import { backendOptions, type Prepared, prepare } from './prepare.ts'
import type { EngineFacts, EngineOptions } from './spec.ts'

/** What an engine will take, to the byte, and what there is. */
export interface MemoryPlan {
  readonly facts: EngineFacts
  readonly limits: Limits
  /** Bytes; `step` is what crosses between engine and backend in a step. */
  readonly arenas: {
    readonly weights: number
    readonly cache: number
    readonly activations: number
    readonly step: number
  }
  readonly total: number
  readonly available: number
  /** Most tokens that the KV cache could have beside the rest. */
  readonly mostCacheTokens: number
}

export function memoryPlan({ facts, program, costs }: Prepared): MemoryPlan {
  const { available } = costs
  const { limits } = program
  const arenas = { ...program.arenas, step: frameLayout(limits).bytes }
  const total = arenas.weights + arenas.activations + arenas.cache + arenas.step
  const blocks = Math.floor(Math.max(0, available - (total - arenas.cache)) / Math.max(1, costs.blockBytes))
  return { facts, limits, arenas, total, available, mostCacheTokens: blocks * limits.blockSize }
}

/** What an engine of these options would take. Reads headers, and no weights. */
export function planEngine(options: EngineOptions): MemoryPlan {
  const { backend } = openBackend(backendOptions(options))
  try {
    const checkpoint = openCheckpoint(options.model, backend.mapFile)
    try {
      return memoryPlan(prepare(checkpoint, backend, options))
    } finally {
      checkpoint.close()
    }
  } finally {
    backend.close()
  }
}

const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`

/** Refuses with `engine.memory` what will not fit, and names what would help. */
export function checkMemory(plan: MemoryPlan): void {
  const { arenas, total, available } = plan
  if (total <= available) return
  const { weights, activations, cache, step } = arenas
  const sizes = `weights ${mebibytes(weights)}, KV cache ${mebibytes(cache)}, activations ${mebibytes(activations)}, step ${mebibytes(step)}`
  const reason = `${mebibytes(total)} (${sizes}) and ${mebibytes(available)} are available; ${helpFor(plan)}`
  fail('engine.memory', { reason })
}

/** Options that would make a plan fit: the first of these that is enough alone, by name and number. */
export function helpFor({ limits, mostCacheTokens }: MemoryPlan): string {
  const flag = (name: string, words: string) => `${name} (${words})`
  const cache = flag('maxBatchTotalTokens', '--max-batch-total-tokens')
  const context = flag('maxTotalTokens', '--max-total-tokens')
  if (mostCacheTokens >= limits.context) return `it fits with ${cache} of at most ${mostCacheTokens}`
  if (mostCacheTokens >= limits.blockSize) return `it fits with ${context} and ${cache} of at most ${mostCacheTokens}`
  const step = flag('maxBatchPrefillTokens', '--max-batch-prefill-tokens')
  const batch = flag('maxBatchSize', '--max-batch-size')
  return `less is needed with a smaller ${step} or ${batch}, or with smaller weights (dtype, --dtype, or a quantized model)`
}
