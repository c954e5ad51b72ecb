import { readHalf } from './half.ts'

/*
 * The k-quants of ggml: superblocks of 256 elements, whose groups of 16 or 32 have integer scales of their own under one
 * or two halves. As in `block-quants.ts`, all arithmetic is exact until the store into `out`.
 */
const superblock = 256

/** 16 scale bytes (scale low, minimum high nibble), 64 bytes of two-bit elements, scale and minimum of the superblock. */
export function dequantizeQ2_K(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 84, to += superblock) {
    const scale = readHalf(bytes, at + 80)
    const minimum = readHalf(bytes, at + 82)
    for (let group = 0; group < 16; group++) {
      const packed = bytes[at + group]!
      const groupScale = scale * (packed & 15)
      const groupMinimum = minimum * (packed >> 4)
      const from = quarterByte(group)
      const shift = quarterShift(group)
      for (let j = 0; j < 16; j++) {
        out[to + 16 * group + j] = groupScale * ((bytes[at + 16 + from + j]! >> shift) & 3) - groupMinimum
      }
    }
  }
}

/**
 * Two-bit elements lie in two runs of 32 bytes, each holding 128 elements: its lowest bit pairs are elements 0 to 31,
 * the next 32 to 63, and so on. These give the first byte and the shift of the 16 elements of `group`.
 */
const quarterByte = (group: number): number => 32 * (group >> 3) + 16 * (group & 1)
const quarterShift = (group: number): number => 2 * ((group >> 1) & 3)

/** 32 bytes of high bits, 64 of two-bit elements, 12 of six-bit scales, scale; a clear high bit means minus four. */
export function dequantizeQ3_K(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 110, to += superblock) {
    const scale = readHalf(bytes, at + 108)
    for (let group = 0; group < 16; group++) {
      const groupScale = scale * (sixBitScale(bytes, at + 96, group) - 32)
      const from = at + 32 + quarterByte(group)
      const shift = quarterShift(group)
      const highs = at + 16 * (group & 1)
      for (let j = 0; j < 16; j++) {
        const high = (bytes[highs + j]! >> (group >> 1)) & 1
        out[to + 16 * group + j] = groupScale * (((bytes[from + j]! >> shift) & 3) - 4 * (1 - high))
      }
    }
  }
}

/** Scale `group` of Q3_K: four low bits in the first eight bytes (two groups a byte), two high bits in the last four. */
function sixBitScale(bytes: Uint8Array, at: number, group: number): number {
  const low = (bytes[at + (group & 7)]! >> (group < 8 ? 0 : 4)) & 15
  const high = (bytes[at + 8 + (group & 3)]! >> (2 * (group >> 2))) & 3
  return low | (high << 4)
}

/**
 * Scale (`which` 0) or minimum (`which` 4) of one of the eight groups of Q4_K and Q5_K, six bits each in 12 bytes.
 * The first four groups have theirs whole; those of the last four are split: low bits in the last four bytes, and the
 * two high ones on top of the first groups' bytes.
 */
function groupSixBits(bytes: Uint8Array, at: number, group: number, which: 0 | 4): number {
  if (group < 4) return bytes[at + which + group]! & 63
  const low = (bytes[at + 4 + group]! >> which) & 15
  return low | ((bytes[at + which + group - 4]! >> 6) << 4)
}

/** Scale and minimum, 12 bytes of group scales and minima, 128 bytes of nibbles: 32 bytes hold two groups. */
export function dequantizeQ4_K(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 144, to += superblock) {
    const scale = readHalf(bytes, at)
    const minimum = readHalf(bytes, at + 2)
    for (let group = 0; group < 8; group++) {
      const groupScale = scale * groupSixBits(bytes, at + 4, group, 0)
      const groupMinimum = minimum * groupSixBits(bytes, at + 4, group, 4)
      const from = at + 16 + 32 * (group >> 1)
      const shift = 4 * (group & 1)
      for (let j = 0; j < 32; j++) {
        out[to + 32 * group + j] = groupScale * ((bytes[from + j]! >> shift) & 15) - groupMinimum
      }
    }
  }
}

/** Q4_K with 32 bytes of fifth bits before the nibbles: bit `group` of byte j belongs to element j of that group. */
export function dequantizeQ5_K(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 176, to += superblock) {
    const scale = readHalf(bytes, at)
    const minimum = readHalf(bytes, at + 2)
    for (let group = 0; group < 8; group++) {
      const groupScale = scale * groupSixBits(bytes, at + 4, group, 0)
      const groupMinimum = minimum * groupSixBits(bytes, at + 4, group, 4)
      const from = at + 48 + 32 * (group >> 1)
      const shift = 4 * (group & 1)
      for (let j = 0; j < 32; j++) {
        const fifth = (bytes[at + 16 + j]! >> group) & 1
        out[to + 32 * group + j] = groupScale * (((bytes[from + j]! >> shift) & 15) + 16 * fifth) - groupMinimum
      }
    }
  }
}

/**
 * 128 bytes of nibbles, 64 of two-bit high parts, 16 signed group scales, scale. Each half of the superblock has 64 bytes
 * of nibbles (64 elements in the low ones, 64 in the high ones) and 32 bytes of high parts (32 elements a bit pair).
 */
export function dequantizeQ6_K(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 210, to += superblock) {
    const scale = readHalf(bytes, at + 208)
    for (let group = 0; group < 16; group++) {
      const groupScale = scale * ((bytes[at + 192 + group]! << 24) >> 24)
      const half = group >> 3
      const lows = at + 64 * half + 16 * (group & 3)
      const lowShift = group & 4
      const highs = at + 128 + 32 * half + 16 * (group & 1)
      const highShift = quarterShift(group)
      for (let j = 0; j < 16; j++) {
        const low = (bytes[lows + j]! >> lowShift) & 15
        const high = (bytes[highs + j]! >> highShift) & 3
        out[to + 16 * group + j] = groupScale * ((low | (high << 4)) - 32)
      }
    }
  }
}
