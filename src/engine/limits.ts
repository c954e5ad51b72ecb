import { fail } from '../base/errors.ts'
import type { ModelFacts } from '../models/architecture.ts'
import type { Limits } from '../ops/domain.ts'
import type { EngineOptions } from './spec.ts'

/** Most tokens of one sequence, unless asked for more. */
export const defaultContext = 8192
/** A context that is offered by default even where it takes more than the budget for KV. */
export const smallestContext = 2048
/** Full sequences that the KV cache holds by default, if the budget allows. */
export const defaultSequencesHeld = 4
/**
 * KV bytes taken by default, if so many are of use: this much, half of what the weights take in their files, or this
 * share of the available memory, whichever is more. Memory that is never written to is promised but not taken.
 */
export const defaultCacheBytes = 256 * 2 ** 20
export const defaultCacheShare = 1 / 4
/**
 * Tokens of one step. More rows hardly make a matrix product more efficient on a CPU, and a step is how long every
 * stream waits for its next token.
 */
export const defaultStepTokens = 512
/** Sequences of one step, and rows of logits, if these take no more than `defaultLogitBytes`. */
export const defaultBatch = 64
export const defaultLogitBytes = 64 * 2 ** 20
/** Most alternatives that a request may ask for, and that a row may report when there are ties. */
export const maxTopTokens = 20
export const maxTopTokensWithTies = 32

/** What storage costs: bytes of a KV block over all layers, tokens a block, bytes of the weights as stored. */
export interface StorageCosts {
  readonly blockBytes: number
  readonly blockSize: number
  readonly weightBytes: number
  /** Bytes that may be taken in all. */
  readonly available: number
}

type SizeOption = 'maxTotalTokens' | 'maxBatchPrefillTokens' | 'maxBatchSize' | 'maxBatchTotalTokens' | 'maxSamples'

/** Sizes from what was asked for; what was not is chosen. Throws `option.invalid` where they contradict each other. */
export function chooseLimits(options: EngineOptions, model: ModelFacts, costs: StorageCosts): Limits {
  const asked = (name: SizeOption) => readSize(name, options[name])
  const budget = cacheBudget(costs)
  const held = asked('maxBatchTotalTokens')
  const context = asked('maxTotalTokens') ?? Math.min(model.maxPositions, defaultContext, held ?? budget)
  if (context > model.maxPositions) {
    fail('option.invalid', { name: 'maxTotalTokens', reason: `the model was made for ${model.maxPositions} tokens` })
  }
  const kvTokens = held ?? Math.max(context, Math.min(defaultSequencesHeld * context, budget))
  atLeast('maxBatchTotalTokens', kvTokens, 'maxTotalTokens', context)
  const rows = Math.max(1, Math.floor(defaultLogitBytes / (4 * model.vocabulary)))
  const batch = asked('maxBatchSize')
  const tokens = asked('maxBatchPrefillTokens') ?? Math.max(defaultStepTokens, batch ?? 0)
  const wanted = asked('maxSamples')
  const sequences = batch ?? Math.min(defaultBatch, rows, tokens, wanted ?? rows)
  const samples = wanted ?? Math.max(sequences, Math.min(defaultBatch, rows))
  atLeast('maxBatchPrefillTokens', tokens, 'maxBatchSize', sequences)
  atLeast('maxSamples', samples, 'maxBatchSize', sequences)
  return {
    tokens,
    sequences,
    samples,
    context,
    blocks: Math.ceil(kvTokens / costs.blockSize),
    blockSize: costs.blockSize,
    vocabulary: model.vocabulary,
    topTokens: Math.min(maxTopTokensWithTies, model.vocabulary),
    masks: 0,
  }
}

/** Tokens that the KV cache gets by default, in whole blocks. */
function cacheBudget({ blockBytes, blockSize, weightBytes, available }: StorageCosts): number {
  const bytes = Math.max(defaultCacheBytes, weightBytes / 2, available * defaultCacheShare)
  const blocks = Math.floor(bytes / Math.max(1, blockBytes))
  return Math.max(smallestContext, blocks * blockSize)
}

/** A size that was asked for; undefined when it is absent or 0. */
function readSize(name: SizeOption, value: number | undefined): number | undefined {
  if (value === undefined || value === 0) return undefined
  if (!Number.isInteger(value) || value < 1 || value >= 2 ** 31) {
    fail('option.invalid', { name, reason: `${value} is not a positive integer` })
  }
  return value
}

function atLeast(name: SizeOption, value: number, other: SizeOption, least: number): void {
  if (value < least) fail('option.invalid', { name, reason: `${value} is less than ${other}, ${least}` })
}
