import { dequantizeQ4_0, dequantizeQ4_1, dequantizeQ5_0, dequantizeQ5_1, dequantizeQ8_0 } from './block-quants.ts'
import { type FormatName, formats } from './format.ts'
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
}

/**
 * Writes the float32 values of the elements stored in `bytes` (whole blocks, any alignment) to `out`, which has exactly as
 * many elements; equal to the bit to what ggml makes of them. Throws a RangeError when the lengths do not match.
 */
export function dequantize(format: FormatName, bytes: Uint8Array, out: Float32Array): void {
  const { elementsPerBlock, bytesPerBlock } = formats[format]
  if (bytes.length % bytesPerBlock !== 0 || (bytes.length / bytesPerBlock) * elementsPerBlock !== out.length) {
    throw new RangeError(`${bytes.length} bytes of ${format} are not ${out.length} elements`)
  }
  readers[format](bytes, out)
}
