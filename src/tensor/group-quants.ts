/*
 * Groups of elements with a float32 scale, and for `u4` a zero; our own form, see format.ts. A group is a block, or a whole
 * row. Every value is one product in float64, which is exact, and the one rounding is the store into `out`.
 */

const floatAt = (bytes: Uint8Array, at: number): number =>
  new DataView(bytes.buffer, bytes.byteOffset).getFloat32(at, true)

/** Reads groups of `elements` signed bytes; a row is the group where there is no other. */
export function readI8(elements: number | undefined) {
  return (bytes: Uint8Array, out: Float32Array): void => {
    const group = elements ?? out.length
    for (let at = 0, to = 0; to < out.length; at += 4 + group, to += group) {
      const scale = floatAt(bytes, at)
      for (let i = 0; i < group; i++) out[to + i] = ((bytes[at + 4 + i]! << 24) >> 24) * scale
    }
  }
}

/** Reads groups of `elements` nibbles; a row is the group where there is no other. */
export function readU4(elements: number | undefined) {
  return (bytes: Uint8Array, out: Float32Array): void => {
    const group = elements ?? out.length
    for (let at = 0, to = 0; to < out.length; at += 5 + group / 2, to += group) {
      const scale = floatAt(bytes, at)
      const zero = bytes[at + 4]!
      for (let i = 0; i < group; i++) {
        const code = (bytes[at + 5 + (i >> 1)]! >> (4 * (i & 1))) & 15
        out[to + i] = (code - zero) * scale
      }
    }
  }
}

/** Elements that share a scale in `nf4` and `fp4`. */
const tableGroup = 64

/** Sixteen quantiles of the normal distribution, scaled to -1 to 1 (QLoRA, arXiv 2305.14314). */
export const normalFloats = Float32Array.of(
  ...[-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453],
  ...[-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0],
  ...[0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224],
  ...[0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1],
)

const fpMagnitudes = [0, 0.0625, 8, 12, 4, 6, 2, 3].map((x) => x / 12)

/** Sign, two bits of exponent, one of mantissa, as bitsandbytes has them; the eighth is minus zero. */
export const shortFloats = Float32Array.of(...fpMagnitudes, ...fpMagnitudes.map((x) => -x))

/** Reads groups of 64 codes into a table, which a row begins with where there is no other. */
export function readCodes(known: Float32Array | undefined) {
  return (bytes: Uint8Array, out: Float32Array): void => {
    const table = known ?? Float32Array.from({ length: 16 }, (_, i) => floatAt(bytes, 4 * i))
    for (let at = known ? 0 : 4 * table.length, to = 0; to < out.length; at += 4 + tableGroup / 2, to += tableGroup) {
      const scale = floatAt(bytes, at)
      for (let i = 0; i < tableGroup; i++) {
        const code = (bytes[at + 4 + (i >> 1)]! >> (4 - 4 * (i & 1))) & 15
        out[to + i] = table[code]! * scale
      }
    }
  }
}
