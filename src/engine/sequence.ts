import type { BlockKey } from './block-key.ts'
import type { GenerateSpec } from './spec.ts'

/**
 * One running request. It has no phase: it has tokens, some of them computed, and a step computes more.
 * Prefill, chunk, decode and recomputation after preemption are all `remaining` meeting a budget.
 */
export class Sequence {
  readonly id: number
  readonly spec: GenerateSpec
  readonly promptLength: number
  /** Prompt and generated token ids. */
  readonly ids: number[]
  /** Tokens whose keys and values are in the cache. */
  computed = 0
  /** KV block of each stretch of `blockSize` positions; append-only while the sequence runs. */
  readonly table: number[] = []
  /** Keys of the blocks whose tokens are known, as far as somebody asked; see `blockKey`. */
  readonly keys: BlockKey[] = []
  /** Blocks of the table that have been entered into the prefix cache, or were taken from it. */
  sealed = 0
  /** Place in the order of all sequences: the step it came in, less its head start; then the how-manieth it was. */
  rank = 0
  arrival = 0
  /** Row of the frame's history; -1 while the sequence is not running. */
  row = -1
  /** Ids already copied into that row. */
  written = 0
  /** Log-probability of each prompt token, filled chunk by chunk; undefined when nobody asked. */
  readonly promptLogprobs: Float32Array | undefined
  /** The two words of the 64-bit seed, split once so that no step touches a bigint. */
  readonly seedLow: number
  readonly seedHigh: number

  constructor(id: number, spec: GenerateSpec) {
    this.id = id
    this.spec = spec
    this.promptLength = spec.promptIds.length
    this.ids = [...spec.promptIds, ...(spec.generatedIds ?? [])]
    this.promptLogprobs = spec.promptLogprobs ? new Float32Array(this.promptLength) : undefined
    this.seedLow = Number(BigInt.asUintN(32, spec.sampling.seed))
    this.seedHigh = Number(BigInt.asUintN(32, spec.sampling.seed >> 32n))
  }

  get length(): number {
    return this.ids.length
  }

  get generated(): number {
    return this.ids.length - this.promptLength
  }

  /** Tokens still to compute before the next one can be chosen; at least 1 between steps. */
  get remaining(): number {
    return this.ids.length - this.computed
  }

  /** Whether prompt rows are sampled to score the prompt. Once a token is out they have been reported. */
  get scoring(): boolean {
    return this.promptLogprobs !== undefined && this.generated === 0
  }

  /** Back to the queue: everything is computed again, and gives the same bytes. */
  rewind(): void {
    this.computed = 0
    this.table.length = 0
    this.sealed = 0
    this.row = -1
    this.written = 0
  }
}

/**
 * Most tokens a sequence of `spec` ever has in the cache. The last generated token is never computed: nothing
 * comes after it.
 */
export const mostComputed = (spec: GenerateSpec): number => spec.promptIds.length + spec.maxNewTokens - 1

/**
 * The length that length-dependent rope scaling sees. What the prompt was computed with must not change as the
 * sequence grows: computed again, it gives the same bytes.
 */
export const ropeLength = (promptLength: number, position: number): number =>
  position < promptLength ? promptLength : position + 1
