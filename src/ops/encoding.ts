import { type FormatName, rowBytes } from '../tensor/format.ts'

/**
 * What an activation may be rounded to before it is multiplied. `bf16`: the nearest bfloat16, ties to even. `q8_0`: blocks
 * of 32 along the row, whole multiples (-127 to 127, nearest, ties to even) of a float32 scale: the least number that is two or
 * three times a power of two and at least the block's greatest magnitude / 127. Blocks that hold what is not finite, or not
 * below `encodableEnd`, become not-a-number; those below `smallestBlock` zero.
 */
export const encodings = ['bf16', 'q8_0'] as const satisfies readonly FormatName[]
export type Encoding = (typeof encodings)[number]

export const encodedBlock = 32
/** Bytes of a block of q8_0 activations. */
const blockBytes = 64
/** The first word of a block over its power of two. */
const zeroOfOne = 1.5 * 2 ** 23
/** A block whose greatest magnitude is below this is zero, so that the inverse of its scale is always finite. */
export const smallestBlock = 2 ** -100
/** From here on the powers of two that a product needs leave float32. */
export const encodableEnd = 2 ** 100

/**
 * Bytes of an encoded row. bf16: the numbers, one more of zero where they are odd. q8_0, for each block: 32 signed bytes,
 * and eight words for the products (EncodedBlock in native/core/panels.h) of which the first and the last say the scale.
 */
export function encodedBytes(encoding: Encoding, width: number): number {
  if (encoding === 'bf16') return 4 * Math.ceil(width / 2)
  return (rowBytes('q8_0', width) / 34) * blockBytes
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
  for (let i = 0, block = at; i < length; i += encodedBlock, block += blockBytes) {
    const multiples = new Int8Array(from, block, encodedBlock)
    const words = new Float32Array(from, block + encodedBlock, (blockBytes - encodedBlock) / 4)
    const scale = (words[0]! / zeroOfOne) * words.at(-1)!
    for (let j = 0; j < encodedBlock; j++) out[i + j] = multiples[j]! * scale
  }
}
