import { randomBytes } from 'node:crypto'
import { fail } from '../base/errors.ts'
import type { GenerateSpec, SamplingParameters } from '../engine/spec.ts'
import type { GenerateOptions, ModelInfo, Prompt, Watermark } from './types.ts'
import { defaultWatermark } from './watermark.ts'

const maxSeed = 0xffff_ffff_ffff_ffffn

/**
 * TGI admits a request for at most this many new tokens at a time, and checks only those against the context:
 * a request for more is accepted and ends with `length` when the context is full.
 */
const admittedTokens = 1024

const invalid = (reason: string): never => fail('request.invalid', { reason })

/** A 64-bit seed nobody can guess. */
export const randomSeed = (): bigint => randomBytes(8).readBigUInt64LE()

/** Sampling parameters of a request, checked; the words of the errors are TGI's. */
export function samplingOf(o: GenerateOptions, watermark: Watermark = defaultWatermark): SamplingParameters {
  const { temperature = 1, topK = 0, topP = 1, typicalP = 1, repetitionPenalty = 1, frequencyPenalty = 0 } = o
  if (!(temperature > 0)) invalid('`temperature` must be strictly positive')
  if (!(repetitionPenalty > 0)) invalid('`repetition_penalty` must be strictly positive')
  if (!(frequencyPenalty >= -2 && frequencyPenalty <= 2)) invalid('`frequency_penalty` must be >= -2.0 and <= 2.0')
  if (!(topP > 0 && topP <= 1)) invalid('`top_p` must be > 0.0 and < 1.0')
  if (!(typicalP > 0 && typicalP <= 1)) invalid('`typical_p` must be > 0.0 and < 1.0')
  if (!Number.isInteger(topK) || topK < 0 || (o.topK !== undefined && topK === 0))
    invalid('`top_k` must be strictly positive')
  const sampling = (o.doSample ?? false) || temperature !== 1 || topK !== 0 || topP < 1 || typicalP < 1
  const seed = o.seed === undefined ? randomSeed() : BigInt(o.seed)
  if (seed < 0n || seed > maxSeed) invalid('`seed` must be an unsigned 64-bit integer')
  const chosen = { sampling, seed, temperature, topK, topP, typicalP, repetitionPenalty, frequencyPenalty }
  return o.watermark ? { ...chosen, watermark } : chosen
}

/** The prompt's ids cut to their last `truncate`; a leading BOS stays first, as TGI's tokenizer keeps it. */
export function truncateIds(
  ids: readonly number[],
  truncate: number | undefined,
  bosId: number | undefined,
): readonly number[] {
  if (truncate === undefined || ids.length <= truncate) return ids
  const keepsBos = bosId !== undefined && ids[0] === bosId && truncate > 1
  return keepsBos ? [bosId, ...ids.slice(ids.length - truncate + 1)] : ids.slice(ids.length - truncate)
}

/** The checks of a request that need no token count. */
export function checkOptions(prompt: Prompt, o: GenerateOptions, info: ModelInfo): void {
  if (o.maxNewTokens !== undefined && !(Number.isInteger(o.maxNewTokens) && o.maxNewTokens > 0)) {
    invalid('`max_new_tokens` must be strictly positive')
  }
  const top = o.topNTokens ?? 0
  if (!(Number.isInteger(top) && top >= 0 && top <= info.maxTopTokens)) {
    invalid(`\`top_n_tokens\` must be >= 0 and <= ${info.maxTopTokens}. Given: ${top}`)
  }
  if (o.stop?.some((s) => s === '')) invalid('`stop` sequences cannot be empty')
  if (prompt.length === 0) invalid('`inputs` cannot be empty')
  if (typeof prompt !== 'string') checkIds(prompt, info.vocabulary)
  const cut = o.truncate
  if (cut !== undefined && !(Number.isInteger(cut) && cut > 0 && cut <= info.maxInputTokens)) {
    invalid(`\`truncate\` must be strictly positive and less than ${info.maxInputTokens}. Given: ${cut}`)
  }
}

function checkIds(ids: readonly number[], vocabulary: number): void {
  const unknown = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabulary)
  if (unknown !== undefined) invalid(`\`inputs\` has the token id ${unknown}, the vocabulary ${vocabulary} tokens`)
}

/** Checks lengths against the context and makes what the engine runs. */
export function specOf(
  ids: readonly number[],
  sampling: SamplingParameters,
  o: GenerateOptions,
  info: ModelInfo,
  eosIds: readonly number[],
): GenerateSpec {
  const { maxTotalTokens, maxInputTokens } = info
  if (ids.length === 0) invalid('`inputs` cannot be empty')
  const room = maxTotalTokens - ids.length
  const admitted = Math.min(o.maxNewTokens ?? Math.max(room, 0), admittedTokens)
  if (ids.length + admitted > maxTotalTokens) {
    const given = `Given: ${ids.length} \`inputs\` tokens and ${admitted} \`max_new_tokens\``
    invalid(`\`inputs\` tokens + \`max_new_tokens\` must be <= ${maxTotalTokens}. ${given}`)
  }
  if (ids.length > maxInputTokens || room < 1) {
    invalid(`\`inputs\` must have less than ${maxInputTokens} tokens. Given: ${ids.length}`)
  }
  return {
    promptIds: ids,
    maxNewTokens: Math.min(o.maxNewTokens ?? room, room),
    eosIds,
    sampling,
    topTokens: o.topNTokens ?? 0,
    promptLogprobs: o.promptLogprobs ?? false,
    ...(o.salt !== undefined && { salt: o.salt }),
    ...(o.priority !== undefined && { priority: o.priority }),
    ...(o.maxTimeMs !== undefined && { maxTimeMs: o.maxTimeMs }),
  }
}
