import type { Instruction, Program } from '../graph/program.ts'
import { opShape } from '../ops/table.ts'
import type { Sequence } from './sequence.ts'

/**
 * How much longer a step may take because prompts are computed in it, compared with the same step without them, unless
 * asked for more or less.
 */
export const defaultStretch = 2.5
/** Tokens that a prompt may have in every step, however long they take. */
export const leastChunk = 2
/** What a step takes whatever is in it: as long as so many tokens. */
export const fixedTokens = 3
/** Operations of a product in the time of one operation of attention, and in that of reading a byte of the KV cache. */
const attentionCost = 2.5
const readCost = 25

/**
 * What steps cost, in tokens: the unit is one token of a prompt at its beginning. A later one takes longer, as it
 * attends to all before it, and whatever number of them a step has, all that came before is read again.
 */
export interface Pace {
  /** What the sequences that lack only one token take of a step, and the step itself. */
  plain(sequences: readonly Sequence[]): number
  /** What the prompts may take of it beside them. */
  allowance(plain: number): number
  /** Tokens of a prompt that `units` pay for, after `context` tokens; at least 0. */
  affordable(context: number, units: number): number
  cost(context: number, count: number): number
}

/** Prompts get all that there is. */
export const unbounded: Pace = {
  plain: () => 0,
  allowance: () => Number.POSITIVE_INFINITY,
  affordable: () => Number.POSITIVE_INFINITY,
  cost: () => 0,
}

/**
 * The pace of a program, known from its operations alone: no clock is asked, so that a busy machine, which slows down all
 * steps alike, changes nothing. The constants were measured on a CPU; see docs/engine.md.
 */
export function paceOf(program: Program, stretch = defaultStretch): Pace {
  const { attended, read } = weightsOf(program)
  const cost = (context: number, count: number) => count * (1 + attended * context) + read * context
  return {
    plain: (sequences) => sequences.reduce((sum, s) => sum + cost(s.computed, 1), fixedTokens),
    allowance: (plain) => (stretch - 1) * plain,
    affordable: (context, units) => Math.max(0, Math.floor((units - read * context) / (1 + attended * context))),
    cost,
  }
}

/** What each token of a context adds to the cost of attending to it, and of reading it. */
function weightsOf({ instructions, arenas, limits }: Program): { attended: number; read: number } {
  const flops = (i: Instruction) => opShape(i.op).cost(i.places, i.attributes).flops
  const perToken = instructions.filter((i) => Object.values(i.places).every((p) => p?.domain !== 'samples'))
  const attention = perToken.filter((i) => i.op === 'attention')
  const sum = (list: readonly Instruction[]) => list.reduce((total, i) => total + flops(i), 0)
  const products = Math.max(1, sum(perToken) - sum(attention))
  const keyBytes = arenas.cache / (limits.blocks * limits.blockSize)
  return { attended: (attentionCost * sum(attention)) / products, read: (readCost * keyBytes) / products }
}
