import type { FormatName } from '../../tensor/format.ts'

const value = new Float32Array(1)
const bits = new Uint32Array(value.buffer)

/** The nearest bfloat16, ties to even. */
export function toBfloat16(x: number): number {
  if (Number.isNaN(x)) return x
  value[0] = x
  bits[0] = (bits[0]! + 0x7fff + ((bits[0]! >>> 16) & 1)) & 0xffff0000
  return value[0]!
}

/** Nearest whole number, ties to even. */
export function nearest(x: number): number {
  const floor = Math.floor(x)
  const rest = x - floor
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor
}

const LARGEST_HALF = 65504
const SMALLEST_EXPONENT = -14

/** The nearest IEEE half, ties to even. */
export function toHalf(x: number): number {
  const magnitude = Math.abs(x)
  if (!(magnitude > 0) || magnitude === Number.POSITIVE_INFINITY) return x
  let exponent = Math.max(SMALLEST_EXPONENT, Math.floor(Math.log2(magnitude)))
  if (2 ** exponent > magnitude && exponent > SMALLEST_EXPONENT) exponent--
  const quantum = 2 ** (exponent - 10)
  const rounded = nearest(magnitude / quantum) * quantum
  return Math.sign(x) * (rounded > LARGEST_HALF ? Number.POSITIVE_INFINITY : rounded)
}

/** Scales below the smallest normal float would have no inverse: such rows count as zero. */
const SMALLEST_NORMAL = 2 ** -126

/** One row as the int8 cache keeps it: whole multiples of a float32 scale. Every step in float32, as backends do it. */
export function toScaledBytes(row: Float32Array): void {
  let greatest = 0
  for (const x of row) greatest = Math.max(greatest, Math.abs(x))
  const scale = Number.isFinite(greatest) ? Math.fround(greatest / 127) : Number.NaN
  const inverse = scale < SMALLEST_NORMAL ? 0 : Math.fround(1 / scale)
  for (let i = 0; i < row.length; i++) {
    row[i] = Number.isNaN(scale) ? scale : nearest(Math.fround(row[i]! * inverse)) * scale
  }
}

const BLOCK = 32

/** Nearest whole number, halves away from zero. */
const nearestAway = (x: number): number => Math.sign(x) * Math.floor(Math.abs(x) + 0.5)

/**
 * Blocks of 32 as q8_0 keeps them: a half scale, and whole multiples of it up to 127. Every step in float32, as
 * backends do it, so that no multiple differs: one step would be more than the tolerance of a product.
 */
function toQ8Blocks(values: Float32Array): void {
  for (let b = 0; b < values.length; b += BLOCK) {
    const block = values.subarray(b, b + BLOCK)
    const greatest = block.reduce((max, x) => Math.max(max, Math.abs(x)), 0)
    const scale = toHalf(Math.fround(greatest / 127))
    const inverse = scale > 0 ? Math.fround(1 / scale) : 0
    for (let i = 0; i < block.length; i++) {
      const multiple = nearestAway(Math.fround(block[i]! * inverse))
      block[i] = Math.max(-127, Math.min(127, multiple)) * scale
    }
  }
}

/** Rounds float32 values in place to what `format` can hold, as a backend does that stores a weight in another format. */
export function roundTo(format: FormatName, values: Float32Array): void {
  switch (format) {
    case 'f32':
      return
    case 'bf16':
      for (let i = 0; i < values.length; i++) values[i] = toBfloat16(values[i]!)
      return
    case 'f16':
      for (let i = 0; i < values.length; i++) values[i] = toHalf(values[i]!)
      return
    case 'q8_0':
      toQ8Blocks(values)
      return
    default:
      throw new RangeError(`nothing is ever converted to ${format}`)
  }
}
