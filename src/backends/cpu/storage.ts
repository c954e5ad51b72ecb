import type { CacheLayer, Weight } from '../../graph/node.ts'
import type { StoragePolicy, WeightStorage, WeightUse } from '../../graph/program.ts'
import type { Encoding } from '../../ops/encoding.ts'
import { lineBytes } from '../../ops/header.ts'
import { type FormatName, rowBytes } from '../../tensor/format.ts'
import type { KvFormat } from '../../tensor/kv-format.ts'

/** Tokens of a KV block: one tile of the attention kernel, whose lanes are keys. */
export const blockSize = 16

/** Output columns of a panel: two vectors of 16 lanes. */
const panelColumns = 32

interface PanelShape {
  /** Elements and bytes, a column, of the smallest piece that is whole. */
  readonly elements: number
  readonly bytes: number
  /** Bytes, a column, of what serves the whole row. */
  readonly row?: number
  /** What x is rounded to before it is multiplied; float32 is multiplied as it is. */
  readonly input?: Encoding
}

/** Formats that `linear` multiplies from. Twin of native/core/panels.h. */
const panels: Readonly<Record<FormatName, PanelShape>> = {
  f32: { elements: 1, bytes: 4 },
  f16: { elements: 1, bytes: 2 },
  bf16: { elements: 2, bytes: 4, input: 'bf16' },
  q8_0: { elements: 32, bytes: 34, input: 'q8_0' },
  q4_0: { elements: 32, bytes: 18, input: 'q8_0' },
  q4_1: { elements: 32, bytes: 20, input: 'q8_0' },
  // Five bits are kept as bytes, two and three as nibbles, and packed scales of four bits and more as bytes.
  q5_0: { elements: 32, bytes: 34, input: 'q8_0' },
  q5_1: { elements: 32, bytes: 36, input: 'q8_0' },
  q2_k: { elements: 256, bytes: 164, input: 'q8_0' },
  q3_k: { elements: 256, bytes: 146, input: 'q8_0' },
  q4_k: { elements: 256, bytes: 148, input: 'q8_0' },
  q5_k: { elements: 256, bytes: 276, input: 'q8_0' },
  q6_k: { elements: 256, bytes: 210, input: 'q8_0' },
  // Zeros are padded, so that vectors of codes begin on lines.
  i8_row: { elements: 32, bytes: 32, row: 4, input: 'q8_0' },
  i8_128: { elements: 128, bytes: 132, input: 'q8_0' },
  i8_64: { elements: 64, bytes: 68, input: 'q8_0' },
  i8_32: { elements: 32, bytes: 36, input: 'q8_0' },
  u4_row: { elements: 32, bytes: 16, row: 6, input: 'q8_0' },
  u4_128: { elements: 128, bytes: 70, input: 'q8_0' },
  u4_64: { elements: 64, bytes: 38, input: 'q8_0' },
  u4_32: { elements: 32, bytes: 22, input: 'q8_0' },
  nf4: { elements: 64, bytes: 36 },
  fp4: { elements: 64, bytes: 36 },
  lut4: { elements: 64, bytes: 36, row: 2 },
}

const wholeLines = (bytes: number) => Math.ceil(bytes / lineBytes) * lineBytes

/** Elements of a vector of the kernels: what rows of values are padded to. */
const lanes = 16

/**
 * Bytes that one head takes of a block: keys transposed, then values. float32: `[headDim][16]` and `[16][width]`. bfloat16: two
 * dimensions of a key, and two keys of a dimension of the values, share a word. int8: the same in bytes, then the scales of keys
 * and of values. Twin of native/core/kernel.h.
 */
function headBytes(headDim: number, format: KvFormat): number {
  const width = Math.ceil(headDim / lanes) * lanes
  if (format === 'f32') return (headDim + width) * blockSize * 4
  const halves = (2 * Math.ceil(headDim / 2) + width) * blockSize
  return format === 'int8' ? halves + 8 * blockSize : 2 * halves
}

/** Bytes of one KV block of one layer: head after head. */
export function cacheBlockBytes({ kvHeads, headDim }: CacheLayer, format: KvFormat = 'f32'): number {
  return wholeLines(kvHeads * headBytes(headDim, format))
}

/** A matrix packed in panels: for each 32 rows of the weight, its columns one after another. */
function inPanels(format: FormatName, rows: number, columns: number): WeightStorage {
  const { elements, bytes, row = 0, input } = panels[format]
  const panelBytes = panelColumns * (row + Math.ceil(columns / elements) * bytes)
  const size = wholeLines(Math.ceil(rows / panelColumns) * panelBytes)
  return { format, layout: 'panels', bytes: size, ...(input && { input }) }
}

function common(stored: readonly FormatName[]): FormatName | undefined {
  return stored.every((f) => f === stored[0]) ? stored[0] : undefined
}

function storage(weight: Weight, use: WeightUse, stored: readonly FormatName[], wanted?: FormatName): WeightStorage {
  const { rows, columns } = weight
  const format = wanted ?? common(stored) ?? 'f32'
  if (use === 'linear') {
    return inPanels(fits(format, columns) ? format : 'f32', rows, columns)
  }
  const kept = use === 'embedding' && fits(format, columns) ? format : 'f32'
  return { format: kept, layout: 'rows', bytes: wholeLines(rows * rowBytes(kept, columns)) }
}

function fits(format: FormatName, columns: number): boolean {
  try {
    return rowBytes(format, columns) > 0
  } catch {
    return false
  }
}

export const storagePolicy: StoragePolicy = { blockSize, cacheBlockBytes, storage }
