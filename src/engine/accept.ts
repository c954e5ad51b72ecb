import { errorData, LoquentError } from '../base/errors.ts'
import type { Sequence } from './sequence.ts'
import type { GeneratedToken, ScoredToken } from './spec.ts'
import type { FinishReason, Sampled, SequenceEvent, Slice } from './step.ts'

/**
 * Takes the sampled rows of one slice, the first of them at `row`, into its sequence: prompt scores, and the next
 * token when the slice reached the end of the sequence. Undefined when there is nothing to tell yet.
 */
export function accept(slice: Slice, row: number, sampled: Sampled, topTokens: number): SequenceEvent | undefined {
  const { sequence, start, count, samples } = slice
  for (let i = 0; i < samples; i++) {
    if (sampled.sampleStatus[row + i] !== 0) return rowFailed(sequence)
  }
  if (sequence.scoring) scorePrompt(sequence, start, row, count, sampled)
  if (start + count < sequence.length) return undefined
  const first = sequence.generated === 0
  const token = readToken(sequence, row + samples - 1, sampled, topTokens)
  sequence.ids.push(token.id)
  const finish = finishReason(sequence, token.id)
  return {
    id: sequence.id,
    tokens: [token],
    ...(first && sequence.promptLogprobs ? { promptLogprobs: promptScores(sequence.promptLogprobs) } : {}),
    ...(finish ? { finish } : {}),
  }
}

function rowFailed(sequence: Sequence): SequenceEvent {
  const reason = `the logits after token ${sequence.length} were not finite`
  return { id: sequence.id, error: errorData(new LoquentError('engine.row_failed', { reason })) }
}

/** Row i scored the token after it; the last row of the prompt chose one instead. */
function scorePrompt(sequence: Sequence, start: number, row: number, count: number, sampled: Sampled): void {
  const scores = sequence.promptLogprobs!
  for (let i = 0; i < count && start + i + 1 < sequence.promptLength; i++) {
    scores[start + i + 1] = sampled.chosenLogprobs[row + i]
  }
}

const promptScores = (scores: Float32Array): (number | null)[] => Array.from(scores, (s, i) => (i === 0 ? null : s))

function readToken(sequence: Sequence, row: number, sampled: Sampled, topTokens: number): GeneratedToken {
  const top: ScoredToken[] = []
  if (sequence.spec.topTokens > 0) {
    for (let i = 0; i < sampled.topCounts[row]; i++) {
      top.push({ id: sampled.topIds[row * topTokens + i], logprob: sampled.topLogprobs[row * topTokens + i] })
    }
  }
  return { id: sampled.chosen[row], logprob: sampled.chosenLogprobs[row], top }
}

/** Length comes first: an end token as the very last one allowed is reported as `length`, as TGI does. */
function finishReason({ spec, generated }: Sequence, id: number): FinishReason | undefined {
  if (generated >= spec.maxNewTokens) return 'length'
  return spec.eosIds.includes(id) ? 'eos_token' : undefined
}
