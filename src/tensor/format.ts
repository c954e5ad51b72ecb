/**
 * Storage formats: how the elements of a tensor lie in bytes. A row is always a whole number of blocks.
 * Blocks of the `q` formats are those of GGUF (the format document of ggml). The others are ours, little-endian, made so that
 * what other quantizers store only has to be put in order; all scales are float32:
 *
 *   i8_row, i8_32 ...  scale, then signed bytes: scale * integer. `row`: one scale a row, before its first block
 *   u4_row, u4_32 ...  scale, zero (a byte, 0 to 16), then pairs: scale * (integer - zero). The first of a pair is the low nibble
 *   nf4, fp4           scale, then pairs: scale * table[code]. The first of a pair is the high nibble, as bitsandbytes has it
 *   lut4               the same, with a table of 16 float32 before the first block of every row
 */
interface FormatShape {
  /** Number that names the format in an encoded program and in the generated C++ header. */
  readonly id: number
  readonly elementsPerBlock: number
  readonly bytesPerBlock: number
  /** What a row has before its first block. */
  readonly bytesPerRow: number
}

const shape = (id: number, elementsPerBlock: number, bytesPerBlock: number, bytesPerRow = 0): FormatShape => ({
  id,
  elementsPerBlock,
  bytesPerBlock,
  bytesPerRow,
})

export const formats = {
  f32: shape(0, 1, 4),
  f16: shape(1, 1, 2),
  bf16: shape(2, 1, 2),
  q8_0: shape(3, 32, 34),
  q4_0: shape(4, 32, 18),
  q4_1: shape(5, 32, 20),
  q5_0: shape(6, 32, 22),
  q5_1: shape(7, 32, 24),
  q2_k: shape(8, 256, 84),
  q3_k: shape(9, 256, 110),
  q4_k: shape(10, 256, 144),
  q5_k: shape(11, 256, 176),
  q6_k: shape(12, 256, 210),
  i8_row: shape(13, 32, 32, 4),
  i8_128: shape(14, 128, 132),
  i8_64: shape(15, 64, 68),
  i8_32: shape(16, 32, 36),
  u4_row: shape(17, 32, 16, 5),
  u4_128: shape(18, 128, 69),
  u4_64: shape(19, 64, 37),
  u4_32: shape(20, 32, 21),
  nf4: shape(21, 64, 36),
  fp4: shape(22, 64, 36),
  lut4: shape(23, 64, 36, 64),
} as const satisfies Record<string, FormatShape>

export type FormatName = keyof typeof formats

/** Bytes of one row of `columns` elements; throws a RangeError when a row is not whole blocks. */
export function rowBytes(format: FormatName, columns: number): number {
  const { elementsPerBlock, bytesPerBlock, bytesPerRow } = formats[format]
  if (columns % elementsPerBlock !== 0) {
    throw new RangeError(`a row of ${columns} elements is not a whole number of ${format} blocks (${elementsPerBlock})`)
  }
  return bytesPerRow + (columns / elementsPerBlock) * bytesPerBlock
}
