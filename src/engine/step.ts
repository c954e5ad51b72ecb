import type { ErrorData } from '../base/errors.ts'
import type { FrameViews } from '../ops/frame.ts'
import type { Sequence } from './sequence.ts'
import type { GeneratedToken } from './spec.ts'

/** Tokens `[start, start + count)` of one sequence, computed in a step; `samples` of their rows give logits. */
export interface Slice {
  readonly sequence: Sequence
  readonly start: number
  readonly count: number
  /** 0 in the middle of a prompt, 1 at its end, `count` when the prompt is scored. Always the last rows. */
  readonly samples: number
}

/** What one run of the program computes: a flat list of tokens of many sequences. */
export interface Step {
  readonly slices: readonly Slice[]
  readonly tokens: number
  readonly samples: number
}

/** What a step gives back: the output fields of the frame, one row a sampled row in the order of the slices. */
export type Sampled = Pick<
  FrameViews,
  'chosen' | 'chosenLogprobs' | 'sampleStatus' | 'topCounts' | 'topIds' | 'topLogprobs'
>

export type FinishReason = 'length' | 'eos_token'

/** What one step did to one sequence. A sequence has ended with `finish` or `error`. */
export type SequenceEvent =
  | {
      readonly id: number
      readonly tokens: readonly GeneratedToken[]
      readonly promptLogprobs?: readonly (number | null)[]
      readonly finish?: FinishReason
    }
  | { readonly id: number; readonly error: ErrorData }
