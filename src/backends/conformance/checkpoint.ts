import { type FormatName, formats, rowBytes } from '../../tensor/format.ts'
import type { StoredTensor } from '../../weights/catalog.ts'
import type { Random } from './random.ts'

/** Byte offsets, in a block, of the halves that scale it; any other byte of a block may be anything. */
const scalesAt: Readonly<Partial<Record<FormatName, readonly number[]>>> = {
  q8_0: [0],
  q4_0: [0],
  q4_1: [0, 2],
  q5_0: [0],
  q5_1: [0, 2],
  q2_k: [80, 82],
  q3_k: [108],
  q4_k: [0, 2],
  q5_k: [0, 2],
  q6_k: [208],
}

/** A half in ±[2^low, 2^(high + 1)). */
const halfBits = (r: Random, low: number, high: number): number =>
  (r.int(0, 1) << 15) | ((r.int(low, high) + 15) << 10) | r.int(0, 1023)

function putHalf(bytes: Uint8Array, at: number, half: number): void {
  bytes[at] = half & 0xff
  bytes[at + 1] = half >>> 8
}

/** Bytes of scale, and of zero, before each group of the formats that have float32 scales. */
const groupHeader = (format: FormatName): number => (format.startsWith('u4') ? 5 : 4)

/** A float32 scale in ±[2^-9, 2^-5), and for nibbles a zero of 0 to 16. */
function putGroup(bytes: Uint8Array, at: number, length: number, r: Random): void {
  const exponent = r.int(-9, -6) + 127
  new DataView(bytes.buffer).setUint32(at, ((r.int(0, 1) << 31) | (exponent << 23) | r.int(0, 2 ** 23 - 1)) >>> 0, true)
  if (length > 4) bytes[at + 4] = r.int(0, 16)
}

/** Any sixteen numbers; one table for all rows, as those that share a panel must have. */
const table = Float32Array.from({ length: 16 }, (_, i) => Math.cos(i * i))

function putTables(bytes: Uint8Array, stride: number): void {
  for (let at = 0; at < bytes.length; at += stride) bytes.set(new Uint8Array(table.buffer), at)
}

function quantizedBytes(format: FormatName, rows: number, columns: number, r: Random): Uint8Array {
  const stride = rowBytes(format, columns)
  const bytes = Uint8Array.from({ length: rows * stride }, () => r.int(0, 255))
  const { bytesPerBlock, bytesPerRow } = formats[format]
  const halves = scalesAt[format]
  const tabled = format === 'lut4'
  if (tabled) putTables(bytes, stride)
  for (let row = 0; row < bytes.length; row += stride) {
    const once = bytesPerRow > 0 && !tabled
    for (let at = row + (tabled ? bytesPerRow : 0); at < row + stride; at += once ? stride : bytesPerBlock) {
      if (halves) for (const half of halves) putHalf(bytes, at + half, halfBits(r, -9, -6))
      else putGroup(bytes, at, groupHeader(format), r)
    }
  }
  return bytes
}

/** Random numbers stored in `format`, of the size that weights have. */
function randomBytes(format: FormatName, rows: number, columns: number, r: Random): Uint8Array {
  const elements = rows * columns
  if (format === 'f32') return new Uint8Array(r.normals(elements).buffer)
  if (format === 'bf16') {
    const whole = new Uint16Array(r.normals(elements).buffer)
    return new Uint8Array(whole.filter((_, i) => i % 2 === 1).buffer)
  }
  if (format === 'f16') {
    const bytes = new Uint8Array(2 * elements)
    for (let i = 0; i < elements; i++) putHalf(bytes, 2 * i, halfBits(r, -4, 1))
    return bytes
  }
  return quantizedBytes(format, rows, columns, r)
}

/** A checkpoint in memory: the tensors that a case invents. */
export class Checkpoint {
  readonly tensors = new Map<string, StoredTensor>()
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  /** Adds `[rows, columns]` random numbers. */
  add(name: string, format: FormatName, rows: number, columns: number): void {
    const bytes = randomBytes(format, rows, columns, this.#random)
    this.tensors.set(name, { name, file: 'memory', offset: 0, format, shape: [rows, columns], bytes: () => bytes })
  }
}
