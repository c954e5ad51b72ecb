import type { Limits } from '../../ops/domain.ts'
import type { Frame } from '../../ops/frame.ts'
import type { PagedCache } from './cache.ts'

/** Float32 `[rows, width]` somewhere inside an arena: element (r, c) is `data[start + r * stride + c]`. */
export interface Matrix {
  readonly data: Float32Array
  readonly start: number
  readonly stride: number
  readonly width: number
  /** Rows of a weight; 0 for an activation, whose rows are known only in a step. */
  readonly rows: number
}

/** What a step gives to every op besides its operands. */
export interface Step {
  readonly frame: Frame
  readonly limits: Limits
  readonly caches: readonly PagedCache[]
}

export type Operands = Readonly<Record<string, Matrix | Int32Array | undefined>>
export type Attributes = Readonly<Record<string, number | string>>

/**
 * One op over the rows `[from, to)` of its domain. That every op can be cut this way is the "same bytes" law.
 * A method type, so that each op states the operands and attributes it takes and no cast is needed to list it.
 */
export type ReferenceOp = { run(o: Operands, a: Attributes, step: Step, from: number, to: number): void }['run']

/** Row `r` as a view. */
export function rowOf(m: Matrix, r: number): Float32Array {
  const start = m.start + r * m.stride
  return m.data.subarray(start, start + m.width)
}

/** A whole array as a matrix of `width` columns; for tests and for values kept outside an arena. */
export function matrixOf(data: Float32Array, width: number): Matrix {
  return { data, start: 0, stride: width, width, rows: data.length / width }
}
