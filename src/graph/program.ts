import type { Domain, Limits } from '../ops/domain.ts'
import type { Encoding } from '../ops/encoding.ts'
import type { FrameField } from '../ops/frame.ts'
import type { OpName } from '../ops/table.ts'
import type { FormatName } from '../tensor/format.ts'
import type { KvFormat } from '../tensor/kv-format.ts'
import type { CacheLayer, Weight } from './node.ts'

/**
 * How a weight lies in its arena. `rows`: row-major, one row after another. `panels`: the packed form of the
 * backend's linear kernel (its own business; the reference backend uses `rows` for everything).
 */
export const layouts = { rows: 0, panels: 1 } as const
export type Layout = keyof typeof layouts

/** Where operands live. `none` marks an optional operand that is absent. */
export const spaces = { none: 0, weights: 1, activations: 2, frame: 3 } as const
export type Space = keyof typeof spaces

/** A weight with its place in the weights arena (`offset` in bytes, a multiple of 64). */
export interface PlacedWeight {
  readonly weight: Weight
  readonly format: FormatName
  readonly layout: Layout
  readonly offset: number
  readonly bytes: number
  /** What activations are rounded to before they are multiplied by it; float32 when absent. */
  readonly input?: Encoding
}

/** One operand of one step, resolved to memory. Offsets are bytes, multiples of 64; the rest counts elements. */
export interface Place {
  readonly space: Space
  readonly offset: number
  readonly domain: Domain
  /** Rows of a weight; 0 where the domain says it. */
  readonly rows: number
  readonly width: number
  /** Elements from one row to the next. */
  readonly stride: number
  /** First column, for a view. */
  readonly column: number
  /** Of an activation: f32, or what `encode` made of it. */
  readonly format: FormatName
  readonly layout: Layout
  readonly field?: FrameField
}

export interface Instruction {
  readonly op: OpName
  readonly name: string
  readonly places: Readonly<Record<string, Place | undefined>>
  readonly attributes: Readonly<Record<string, number | string>>
}

/** A KV cache of a program: the layer's shape, and how its numbers are kept. */
export interface PlacedCache extends CacheLayer {
  readonly format: KvFormat
}

/** What a backend compiles: instructions over placed memory. Data only. */
export interface Program {
  readonly limits: Limits
  readonly instructions: readonly Instruction[]
  readonly weights: readonly PlacedWeight[]
  readonly caches: readonly PlacedCache[]
  /** Bytes that each arena needs. */
  readonly arenas: { readonly weights: number; readonly activations: number; readonly cache: number }
}

/** How a weight is used decides how it is stored: a matrix multiplied (perhaps also looked up), a table, a vector. */
export type WeightUse = 'linear' | 'embedding' | 'vector'

/** How a backend stores one weight. */
export type WeightStorage = Pick<PlacedWeight, 'format' | 'layout' | 'bytes' | 'input'>

/** How a backend stores weights and KV; the planner asks it, so that no pass names a backend. */
export interface StoragePolicy {
  /** Tokens a KV block holds. */
  readonly blockSize: number
  /** Bytes of one KV block of one layer, a multiple of 64; float32 unless another format is given. */
  cacheBlockBytes(layer: CacheLayer, format?: KvFormat): number
  /**
   * Storage of a weight whose parts are stored as `stored` (empty for constants); `wanted` forces a format. An `input`
   * makes the planner round what is multiplied by it.
   */
  storage(weight: Weight, use: WeightUse, stored: readonly FormatName[], wanted?: FormatName): WeightStorage
}
