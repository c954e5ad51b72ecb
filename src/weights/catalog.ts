import type { FormatName } from '../tensor/format.ts'

/** One tensor as it lies in a file. `bytes()` is a view (mapped, or read on first use), valid until the catalog closes. */
export interface StoredTensor {
  readonly name: string
  readonly file: string
  /** Byte offset of the tensor's data in its file. */
  readonly offset: number
  readonly format: FormatName
  /** Row-major, outermost first: a linear weight is `[out, in]`. */
  readonly shape: readonly number[]
  bytes(): Uint8Array
}

/** All tensors of a model, whatever files they came from, by Hugging Face name. */
export interface Catalog {
  readonly tensors: ReadonlyMap<string, StoredTensor>
  close(): void
}

/** Gives the bytes of a whole file without copying them (memory mapping); the native addon supplies one. */
export type MapFile = (path: string) => ArrayBuffer
