import { freemem } from 'node:os'
import { fail } from '../base/errors.ts'
import type { Program } from '../graph/program.ts'

/** Bytes that may still be taken, with the limits of a container where this Node knows them. */
export const availableMemory = (): number => process.availableMemory?.() ?? freemem()

const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`

/** Refuses with `engine.memory` what will not fit, and names what would help. */
export function checkMemory(arenas: Program['arenas'], frameBytes: number, available: number): void {
  const { weights, activations, cache } = arenas
  const total = weights + activations + cache + frameBytes
  if (total <= available) return
  const sizes = `weights ${mebibytes(weights)}, KV cache ${mebibytes(cache)}, activations ${mebibytes(activations)}, step ${mebibytes(frameBytes)}`
  const help =
    'less is needed with a smaller maxBatchTotalTokens or maxTotalTokens (KV cache), maxBatchPrefillTokens or maxBatchSize (activations, step), or dtype (weights)'
  fail('engine.memory', { reason: `${mebibytes(total)} (${sizes}) and ${mebibytes(available)} are available; ${help}` })
}
