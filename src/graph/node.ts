import type { Domain } from '../ops/domain.ts'
import type { FrameField } from '../ops/frame.ts'
import type { OpName } from '../ops/table.ts'

/** A float32 activation `[rows, width]`, made by a node, or a range of columns of one. */
export interface Value {
  readonly kind: 'value'
  readonly id: number
  /** Path of the scope it was made in; tests and tools find intermediates by it. */
  readonly name: string
  readonly domain: Domain
  readonly width: number
  /** Set on a view: columns `[start, start + width)` of another value, which is itself no view. */
  readonly of?: { readonly value: Value; readonly start: number }
}

/**
 * Constant data: tensors of the checkpoint stacked along rows, or numbers known when the graph is built.
 * A vector is one row; several vectors stand one after another in it (the biases of merged linears). Nothing here says how a backend stores it.
 */
export interface Weight {
  readonly kind: 'weight'
  readonly rows: number
  readonly columns: number
  /** Names in the catalog, stacked along rows in this order. Empty when `data` is given. */
  readonly tensors: readonly string[]
  readonly data?: Float32Array
}

/** A per-row field of the frame, used as an operand. */
export interface FrameRef {
  readonly kind: 'frame'
  readonly field: FrameField
  readonly domain: Domain
}

export type Operand = Value | Weight | FrameRef

/** One op of a graph: operands and outputs by the names of the op table. Frozen; passes make new ones. */
export interface Node {
  readonly op: OpName
  readonly name: string
  readonly inputs: Readonly<Record<string, Operand | undefined>>
  readonly outputs: Readonly<Record<string, Value>>
  readonly attributes: Readonly<Record<string, number | string>>
}

/** KV cache of one attention layer. */
export interface CacheLayer {
  readonly kvHeads: number
  readonly headDim: number
}

/** What a model file builds: nodes in execution order and the caches they use. */
export interface GraphData {
  readonly nodes: readonly Node[]
  readonly caches: readonly CacheLayer[]
}
