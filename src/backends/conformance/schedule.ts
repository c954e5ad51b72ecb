import { blocksPerSequence, type Limits } from '../../ops/domain.ts'
import type { Frame } from '../../ops/frame.ts'
import type { Random } from './random.ts'

/** Tokens `[start, start + count)` of one sequence, to be computed in one step. */
export interface Chunk {
  readonly sequence: number
  readonly start: number
  readonly count: number
}

export type Schedule = readonly (readonly Chunk[])[]

/** Sequences of given lengths in shuffled blocks. A token's id is its number among all tokens of all sequences. */
export interface World {
  readonly lengths: readonly number[]
  /** Id of the first token of each sequence. */
  readonly firstIds: readonly number[]
  readonly tables: readonly (readonly number[])[]
  readonly tokens: number
}

export function makeWorld(random: Random, lengths: readonly number[], limits: Limits): World {
  const pool = random.shuffled(Array.from({ length: limits.blocks }, (_, i) => i))
  const tables = lengths.map((l) => pool.splice(0, Math.ceil(l / limits.blockSize)))
  const firstIds = lengths.map((_, s) => lengths.slice(0, s).reduce((a, b) => a + b, 0))
  return { lengths, firstIds, tables, tokens: lengths.reduce((a, b) => a + b, 0) }
}

/** Blocks that sequences of these lengths take, at most. */
export const blocksFor = (lengths: readonly number[], blockSize: number): number =>
  lengths.reduce((sum, l) => sum + Math.ceil(l / blockSize), 0)

/** Every sequence alone, cut into chunks of `size`. */
export function alone(lengths: readonly number[], size: number): Schedule {
  return lengths.flatMap((length, sequence) =>
    Array.from({ length: Math.ceil(length / size) }, (_, i) => {
      const start = i * size
      return [{ sequence, start, count: Math.min(size, length - start) }]
    }),
  )
}

/** Ragged steps: sequences come in at different times, in any order, with whole prompts, chunks and single tokens. */
export function mixed(random: Random, lengths: readonly number[], budget: number): Schedule {
  const computed = lengths.map(() => 0)
  const steps: Chunk[][] = []
  while (computed.some((c, s) => c < lengths[s]!)) {
    const step: Chunk[] = []
    let left = budget
    for (const sequence of random.shuffled(lengths.map((_, s) => s))) {
      const start = computed[sequence]!
      const rest = Math.min(lengths[sequence]! - start, left)
      if (rest <= 0 || random.chance(0.3)) continue
      const count = random.pick([rest, 1, 1, random.int(1, rest)])
      step.push({ sequence, start, count })
      computed[sequence]! += count
      left -= count
    }
    if (step.length > 0) steps.push(step)
  }
  return steps
}

/** One row of a step: which token of which sequence it is. */
export interface Row {
  readonly sequence: number
  readonly position: number
  readonly id: number
}

/** Fills what a step says of tokens and sequences; returns the rows in order. */
export function fillStep(frame: Frame, limits: Limits, world: World, step: readonly Chunk[]): Row[] {
  const rows = step.flatMap(({ sequence, start, count }) =>
    Array.from({ length: count }, (_, i) => {
      return { sequence, position: start + i, id: world.firstIds[sequence]! + start + i }
    }),
  )
  rows.forEach(({ sequence, position, id }, r) => {
    const block = world.tables[sequence]![Math.floor(position / limits.blockSize)]!
    frame.tokenIds[r] = id
    frame.positions[r] = position
    frame.ropeLengths[r] = position + 1
    frame.slots[r] = block * limits.blockSize + (position % limits.blockSize)
    frame.tokenSequences[r] = step.findIndex((c) => c.sequence === sequence)
  })
  let firstRow = 0
  step.forEach(({ sequence, start, count }, s) => {
    frame.queryStarts[s] = firstRow
    frame.contextLengths[s] = start + count
    frame.blockTables.set(world.tables[sequence]!, s * blocksPerSequence(limits))
    firstRow += count
  })
  frame.queryStarts[step.length] = firstRow
  frame.counts.set([firstRow, step.length, 0])
  return rows
}
