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

function quantizedBytes(format: FormatName, length: number, r: Random): Uint8Array {
  const bytes = Uint8Array.from({ length }, () => r.int(0, 255))
  for (let block = 0; block < length; block += formats[format].bytesPerBlock) {
    for (const at of scalesAt[format]!) putHalf(bytes, block + at, halfBits(r, -9, -6))
  }
  return bytes
}

/** Random numbers stored in `format`, of the size that weights have. */
function randomBytes(format: FormatName, elements: number, r: Random): Uint8Array {
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
  return quantizedBytes(format, rowBytes(format, elements), r)
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
    const bytes = randomBytes(format, rows * columns, this.#random)
    this.tensors.set(name, { name, file: 'memory', offset: 0, format, shape: [rows, columns], bytes: () => bytes })
  }
}
