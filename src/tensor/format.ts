/**
 * Storage formats: how the elements of a tensor lie in bytes. A row is always a whole number of blocks.
 * Block layouts of the quantized ones are those of GGUF (the format document of ggml).
 */
interface FormatShape {
  /** Number that names the format in an encoded program and in the generated C++ header. */
  readonly id: number
  readonly elementsPerBlock: number
  readonly bytesPerBlock: number
}

export const formats = {
  f32: { id: 0, elementsPerBlock: 1, bytesPerBlock: 4 },
  f16: { id: 1, elementsPerBlock: 1, bytesPerBlock: 2 },
  bf16: { id: 2, elementsPerBlock: 1, bytesPerBlock: 2 },
  q8_0: { id: 3, elementsPerBlock: 32, bytesPerBlock: 34 },
  q4_0: { id: 4, elementsPerBlock: 32, bytesPerBlock: 18 },
  q4_1: { id: 5, elementsPerBlock: 32, bytesPerBlock: 20 },
  q5_0: { id: 6, elementsPerBlock: 32, bytesPerBlock: 22 },
  q5_1: { id: 7, elementsPerBlock: 32, bytesPerBlock: 24 },
  q2_k: { id: 8, elementsPerBlock: 256, bytesPerBlock: 84 },
  q3_k: { id: 9, elementsPerBlock: 256, bytesPerBlock: 110 },
  q4_k: { id: 10, elementsPerBlock: 256, bytesPerBlock: 144 },
  q5_k: { id: 11, elementsPerBlock: 256, bytesPerBlock: 176 },
  q6_k: { id: 12, elementsPerBlock: 256, bytesPerBlock: 210 },
} as const satisfies Record<string, FormatShape>

export type FormatName = keyof typeof formats

/** Bytes of one row of `columns` elements; throws a RangeError when a row is not whole blocks. */
export function rowBytes(format: FormatName, columns: number): number {
  const { elementsPerBlock, bytesPerBlock } = formats[format]
  if (columns % elementsPerBlock !== 0) {
    throw new RangeError(`a row of ${columns} elements is not a whole number of ${format} blocks (${elementsPerBlock})`)
  }
  return (columns / elementsPerBlock) * bytesPerBlock
}
