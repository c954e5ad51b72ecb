/**
 * Row domains: an activation is `[rows, width]`, and how many rows it has is known only in a step.
 * `tokens`: every token of the step's flat ragged list. `samples`: the rows whose logits are wanted.
 */
export const domains = { fixed: 0, tokens: 1, samples: 2 } as const
export type Domain = keyof typeof domains

/** The most that a step may hold; every arena and the frame are sized from these, and nothing grows after. */
export interface Limits {
  /** Tokens of one step, over all sequences. */
  readonly tokens: number
  /** Sequences of one step; also the rows of the token history. */
  readonly sequences: number
  /** Rows of logits of one step. */
  readonly samples: number
  /** Tokens of one sequence, prompt and generated. */
  readonly context: number
  /** KV blocks in all, and tokens a block. */
  readonly blocks: number
  readonly blockSize: number
  readonly vocabulary: number
  /** Most alternatives reported for a sampled row (ties included). */
  readonly topTokens: number
  /** Token masks (bitsets) that a step may carry. */
  readonly masks: number
}

/** Blocks that one sequence of `limits.context` tokens needs: the width of a block table's row. */
export const blocksPerSequence = (l: Limits): number => Math.ceil(l.context / l.blockSize)

/** 32-bit words of one token mask. */
export const maskWords = (l: Limits): number => Math.ceil(l.vocabulary / 32)
