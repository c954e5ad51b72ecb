import { readHalf } from './half.ts'

/*
 * Blocks of 32 elements with one scale (and for the `_1` formats one minimum), both halves.
 * Byte j of the nibbles holds element j in its low half and element j + 16 in its high half.
 * A half times a few integer bits is exact in float32 and float64 alike, and so is the sum in float64:
 * the one rounding is the store into `out`, which makes the results those of ggml to the bit.
 */
const blockElements = 32

export function dequantizeQ8_0(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 34, to += blockElements) {
    const scale = readHalf(bytes, at)
    for (let j = 0; j < blockElements; j++) out[to + j] = ((bytes[at + 2 + j]! << 24) >> 24) * scale
  }
}

export function dequantizeQ4_0(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 18, to += blockElements) {
    const scale = readHalf(bytes, at)
    for (let j = 0; j < 16; j++) {
      const pair = bytes[at + 2 + j]!
      out[to + j] = ((pair & 15) - 8) * scale
      out[to + 16 + j] = ((pair >> 4) - 8) * scale
    }
  }
}

export function dequantizeQ4_1(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 20, to += blockElements) {
    const scale = readHalf(bytes, at)
    const minimum = readHalf(bytes, at + 2)
    for (let j = 0; j < 16; j++) {
      const pair = bytes[at + 4 + j]!
      out[to + j] = (pair & 15) * scale + minimum
      out[to + 16 + j] = (pair >> 4) * scale + minimum
    }
  }
}

/** The 32 fifth bits of a block: bit j belongs to element j. */
const readFifths = (bytes: Uint8Array, at: number): number =>
  bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)

export function dequantizeQ5_0(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 22, to += blockElements) {
    const scale = readHalf(bytes, at)
    const fifths = readFifths(bytes, at + 2)
    for (let j = 0; j < 16; j++) {
      const pair = bytes[at + 6 + j]!
      out[to + j] = ((pair & 15) + 16 * ((fifths >>> j) & 1) - 16) * scale
      out[to + 16 + j] = ((pair >> 4) + 16 * ((fifths >>> (j + 16)) & 1) - 16) * scale
    }
  }
}

export function dequantizeQ5_1(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 24, to += blockElements) {
    const scale = readHalf(bytes, at)
    const minimum = readHalf(bytes, at + 2)
    const fifths = readFifths(bytes, at + 4)
    for (let j = 0; j < 16; j++) {
      const pair = bytes[at + 8 + j]!
      out[to + j] = ((pair & 15) + 16 * ((fifths >>> j) & 1)) * scale + minimum
      out[to + 16 + j] = ((pair >> 4) + 16 * ((fifths >>> (j + 16)) & 1)) * scale + minimum
    }
  }
}
