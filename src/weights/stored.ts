import { type FormatName, formats } from '../tensor/format.ts'
import type { StoredTensor } from './catalog.ts'
import type { WeightFile } from './file.ts'

/** Most tensors a file, or a model of many files, may have. */
export const maxTensors = 2 ** 18

/** Longest name of a tensor: names end up in messages. */
export const maxNameLength = 1024

/** Product of `shape`, or undefined where it is 2^53 or more. */
export function elementCount(shape: readonly number[]): number | undefined {
  let count = 1
  for (const size of shape) {
    count *= size
    if (!Number.isSafeInteger(count)) return undefined
  }
  return count
}

/** Bytes of a tensor, or undefined where rows are not whole blocks or the number is 2^53 or more. */
export function storedBytes(format: FormatName, shape: readonly number[]): number | undefined {
  const { elementsPerBlock, bytesPerBlock, bytesPerRow } = formats[format]
  if ((shape.at(-1) ?? 1) % elementsPerBlock !== 0) return undefined
  const count = elementCount(shape)
  if (count === undefined) return undefined
  const bytes = (count / elementsPerBlock) * bytesPerBlock + (count / (shape.at(-1) ?? 1)) * bytesPerRow
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** A tensor whose `length` bytes are known to lie inside `file`. */
export function storedTensor(
  file: WeightFile,
  { name, offset, format, shape }: Pick<StoredTensor, 'name' | 'offset' | 'format' | 'shape'>,
  length: number,
): StoredTensor {
  return { name, file: file.path, offset, format, shape, bytes: () => file.bytes(offset, length) }
}
