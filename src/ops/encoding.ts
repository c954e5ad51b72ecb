import { type FormatName, rowBytes } from '../tensor/format.ts'

/**
 * What an activation may be rounded to before it is multiplied. `bf16`: the nearest bfloat16, ties to even. `q8_0`: blocks
 * of 32 along the row, whole multiples (-127 to 127, nearest, ties to even) of a float32 scale, which is the block's
 * greatest magnitude / 127. Blocks that hold what is not finite become not-a-number; those below `smallestBlock` zero.
 */
export const encodings = ['bf16', 'q8_0'] as const satisfies readonly FormatName[]
export type Encoding = (typeof encodings)[number]

export const encodedBlock = 32
/** A block whose greatest magnitude is below this is zero, so that the inverse of its scale is always finite. */
export const smallestBlock = 2 ** -100

/**
 * Bytes of an encoded row. bf16: the numbers, one more of zero where they are odd. q8_0, for b = width / 32 blocks: the
 * signed bytes; b float32 scales; b int32, minus the sum of each block; 2b int32, minus the sums of its halves; b float32,
 * scale times sum. The sums are for weights whose integers have an offset.
 */
export function encodedBytes(encoding: Encoding, width: number): number {
  if (encoding === 'bf16') return 4 * Math.ceil(width / 2)
  return width + (rowBytes('q8_0', width) / 34) * 20
}

/** The float32 values of an encoded row that begins at byte `at`. */
export function decodeRow(encoding: Encoding, from: ArrayBufferLike, at: number, out: Float32Array): void {
  const { length } = out
  if (encoding === 'bf16') {
    const bits = new Uint32Array(out.buffer, out.byteOffset, length)
    const halves = new Uint16Array(from, at, length)
    for (let i = 0; i < length; i++) bits[i] = halves[i]! << 16
    return
  }
  const multiples = new Int8Array(from, at, length)
  const scales = new Float32Array(from, at + length, length / encodedBlock)
  for (let i = 0; i < length; i++) out[i] = multiples[i]! * scales[Math.floor(i / encodedBlock)]!
}
