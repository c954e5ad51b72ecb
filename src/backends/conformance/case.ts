import type { Value } from '../../graph/node.ts'
import type { OpName } from '../../ops/table.ts'
import type { Backend } from '../contract.ts'
import type { Bench, Build } from './bench.ts'
import type { Random } from './random.ts'

/** One family of random trials. `run` throws when the backend (which checks itself against the reference) is wrong. */
export interface Case {
  readonly name: string
  /** Ops of the table that it covers. */
  readonly ops: readonly OpName[]
  readonly run: (backend: Backend, random: Random) => Promise<void>
}

/** An activation of the given rows, one a token: a table looked up. Often a view of a wider one. */
export function input({ g, random }: Build, name: string, width: number, data: Float32Array): Value {
  const rows = data.length / width
  const before = random.chance(0.4) ? random.int(1, 20) : 0
  const after = random.chance(0.4) ? random.int(1, 20) : 0
  const wide = before + width + after
  // What lies beside a view must not be read: it would show.
  const table = new Float32Array(rows * wide).fill(Number.NaN)
  for (let r = 0; r < rows; r++) table.set(data.subarray(r * width, (r + 1) * width), r * wide + before)
  const ids = g.frame('tokenIds', 'tokens')
  const value = g.op('embedding', name, { ids, weight: g.constant(rows, table) }, {})['out']!
  return wide === width ? value : g.columns(value, before, width)
}

/** An activation of normally distributed numbers. */
export const normalInput = (b: Build, name: string, width: number, deviation = 1): Value =>
  input(b, name, width, b.random.normals(b.limits.tokens * width, deviation))

/** Runs one step of `rows` tokens, the n-th with token id n. */
export async function runRows(bench: Bench, rows: number): Promise<void> {
  bench.frame.counts[0] = rows
  for (let r = 0; r < rows; r++) bench.frame.tokenIds[r] = r
  await bench.run()
}

/** Row counts around the tiles of kernels, and one more at random. */
export const rowCounts = (random: Random): number => random.pick([1, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, random.int(1, 40)])
