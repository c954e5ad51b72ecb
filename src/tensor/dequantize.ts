import { dequantizeQ4_0, dequantizeQ4_1, dequantizeQ5_0, dequantizeQ5_1, dequantizeQ8_0 } from './block-quants.ts'
import { type FormatName, formats } from './format.ts'
import { normalFloats, readCodes, readI8, readU4, shortFloats } from './group-quants.ts'
import { dequantizeQ2_K, dequantizeQ3_K, dequantizeQ4_K, dequantizeQ5_K, dequantizeQ6_K } from './k-quants.ts'
import { dequantizeBf16, dequantizeF16, dequantizeF32 } from './plain-formats.ts'

const readers: Readonly<Record<FormatName, (bytes: Uint8Array, out: Float32Array) => void>> = {
  f32: dequantizeF32,
  f16: dequantizeF16,
  bf16: dequantizeBf16,
  q8_0: dequantizeQ8_0,
  q4_0: dequantizeQ4_0,
  q4_1: dequantizeQ4_1,
  q5_0: dequantizeQ5_0,
  q5_1: dequantizeQ5_1,
  q2_k: dequantizeQ2_K,
  q3_k: dequantizeQ3_K,
  q4_k: dequantizeQ4_K,
  q5_k: dequantizeQ5_K,
  q6_k: dequantizeQ6_K,
  i8_row: readI8(undefined),
  i8_128: readI8(128),
  i8_64: readI8(64),
  i8_32: readI8(32),
  u4_row: readU4(undefined),
  u4_128: readU4(128),
  u4_64: readU4(64),
  u4_32: readU4(32),
  nf4: readCodes(normalFloats),
  fp4: readCodes(shortFloats),
  lut4: readCodes(undefined),
}

/** Rows in so many bytes, by what each has before its first block; 1 where rows do not matter. */
function rowsIn(format: FormatName, bytes: number, elements: number): number {
  const { elementsPerBlock, bytesPerBlock, bytesPerRow } = formats[format]
  const beside = bytes - (elements / elementsPerBlock) * bytesPerBlock
  const rows = bytesPerRow > 0 ? beside / bytesPerRow : 1
  const whole = bytesPerRow > 0 ? rows > 0 && elements % (rows * elementsPerBlock) === 0 : beside === 0
  if (elements % elementsPerBlock === 0 && Number.isInteger(rows) && whole) return rows
  throw new RangeError(`${bytes} bytes of ${format} are not ${elements} elements`)
}

/**
 * Writes the float32 values of the elements stored in `bytes` (whole rows, or whole blocks where a row is nothing more; any
 * alignment) to `out`, which has exactly as many elements; equal to the bit to what ggml makes of its formats. Throws a
 * RangeError when the lengths do not match.
 */
export function dequantize(format: FormatName, bytes: Uint8Array, out: Float32Array): void {
  const rows = rowsIn(format, bytes.length, out.length)
  const [stored, read] = [bytes.length / rows, out.length / rows]
  for (let r = 0; r < rows; r++) {
    readers[format](bytes.subarray(r * stored, (r + 1) * stored), out.subarray(r * read, (r + 1) * read))
  }
}
