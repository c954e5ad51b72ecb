import type { Limits } from '../ops/domain.ts'
import type { FormatName } from '../tensor/format.ts'
import type { GraphData } from './node.ts'
import type { Program, StoragePolicy } from './program.ts'

export interface PlanOptions {
  /** Format of every matrix, instead of the backend's choice for how it is stored. */
  readonly wanted?: FormatName
  /** Let values share memory when their lives do not overlap (default true). The verifying backend needs them all. */
  readonly reuse?: boolean
}

/** Places a graph's weights and activations into arenas of fixed size. `stored` gives the format of a checkpoint tensor. */
export declare function planProgram(
  graph: GraphData,
  limits: Limits,
  policy: StoragePolicy,
  stored: (name: string) => FormatName,
  options?: PlanOptions,
): Program
