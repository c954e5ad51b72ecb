const bits = new Uint32Array(1)
const value = new Float32Array(bits.buffer)

/** 2^112: the difference between the exponent biases of float32 (127) and of a half (15). */
const rebias = 2 ** 112

/**
 * The number that the 16 bits of an IEEE 754 half stand for; exact, as every half is a float32.
 * Multiplying by a power of two moves the exponent, and makes normal numbers of subnormal halves on the way.
 */
export function halfToNumber(half: number): number {
  const magnitude = half & 0x7fff
  if (magnitude >= 0x7c00) return magnitude > 0x7c00 ? Number.NaN : half & 0x8000 ? -Infinity : Infinity
  bits[0] = magnitude << 13
  const number = value[0]! * rebias
  return half & 0x8000 ? -number : number
}

/** The half whose little-endian bytes lie at `at`. */
export const readHalf = (bytes: Uint8Array, at: number): number => halfToNumber(bytes[at]! | (bytes[at + 1]! << 8))
