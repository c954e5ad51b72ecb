import type { CacheLayer, Weight } from '../../graph/node.ts'
import type { PlacedWeight, StoragePolicy, WeightUse } from '../../graph/program.ts'
import { lineBytes } from '../../ops/header.ts'
import { type FormatName, rowBytes } from '../../tensor/format.ts'

/** Tokens of a KV block: one tile of the attention kernel, whose lanes are keys. */
export const blockSize = 16

/** Output columns of a panel: four vectors of 16 lanes. */
const panelColumns = 64

/** Formats the linear kernel multiplies from as they are; any other is made float32 when it is uploaded. */
const multiplied: readonly FormatName[] = ['f32', 'bf16', 'f16', 'q8_0']

const wholeLines = (bytes: number) => Math.ceil(bytes / lineBytes) * lineBytes

/** Keys transposed `[headDim][16]`, then values `[16][headDim rounded up to 16]`, for each head; all float32. */
export function cacheBlockBytes({ kvHeads, headDim }: CacheLayer): number {
  const padded = Math.ceil(headDim / 16) * 16
  return kvHeads * (headDim + padded) * blockSize * 4
}

/** Bytes of a matrix packed in panels: for each 64 rows of the weight, its columns one after another. */
function panelBytes(format: FormatName, rows: number, columns: number): number {
  return wholeLines(Math.ceil(rows / panelColumns) * panelColumns * rowBytes(format, columns))
}

function common(stored: readonly FormatName[]): FormatName | undefined {
  return stored.every((f) => f === stored[0]) ? stored[0] : undefined
}

function storage(
  weight: Weight,
  use: WeightUse,
  stored: readonly FormatName[],
  wanted?: FormatName,
): Pick<PlacedWeight, 'format' | 'layout' | 'bytes'> {
  const { rows, columns } = weight
  const format = wanted ?? common(stored) ?? 'f32'
  if (use === 'linear') {
    const packed = multiplied.includes(format) && fits(format, columns) ? format : 'f32'
    return { format: packed, layout: 'panels', bytes: panelBytes(packed, rows, columns) }
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
