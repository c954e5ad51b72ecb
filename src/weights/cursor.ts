import { isUtf8 } from 'node:buffer'
import { fail } from '../base/errors.ts'
import type { WeightFile } from './file.ts'

/** Bytes read ahead, so that a file that is not mapped takes few read calls. */
const windowBytes = 2 ** 20

/** Reads little-endian values from the head of a file, one after another, and never past its end or `limit`. */
export class Cursor {
  readonly #file: WeightFile
  readonly #limit: number
  #offset = 0
  #window: Buffer = Buffer.alloc(0)
  /** Byte of the file that the window begins with. */
  #start = 0
  /** The tensor being read, for errors. */
  tensor: string | null = null

  constructor(file: WeightFile, limit: number) {
    this.#file = file
    this.#limit = Math.min(file.size, limit)
  }

  get path(): string {
    return this.#file.path
  }

  get offset(): number {
    return this.#offset
  }

  get remaining(): number {
    return this.#limit - this.#offset
  }

  fail(reason: string, offset = this.#offset): never {
    fail('weights.malformed', { file: this.#file.path, reason, tensor: this.tensor, offset })
  }

  u8(): number {
    const at = this.#take(1)
    return this.#window.readUInt8(at)
  }

  i8(): number {
    const at = this.#take(1)
    return this.#window.readInt8(at)
  }

  u16(): number {
    const at = this.#take(2)
    return this.#window.readUInt16LE(at)
  }

  i16(): number {
    const at = this.#take(2)
    return this.#window.readInt16LE(at)
  }

  u32(): number {
    const at = this.#take(4)
    return this.#window.readUInt32LE(at)
  }

  i32(): number {
    const at = this.#take(4)
    return this.#window.readInt32LE(at)
  }

  f32(): number {
    const at = this.#take(4)
    return this.#window.readFloatLE(at)
  }

  f64(): number {
    const at = this.#take(8)
    return this.#window.readDoubleLE(at)
  }

  /** A number where it is exact, otherwise a bigint. */
  u64(): number | bigint {
    const at = this.#take(8)
    const high = this.#window.readUInt32LE(at + 4)
    return high < 2 ** 21 ? high * 2 ** 32 + this.#window.readUInt32LE(at) : this.#window.readBigUInt64LE(at)
  }

  /** A number where it is exact, otherwise a bigint. */
  i64(): number | bigint {
    const at = this.#take(8)
    const value = this.#window.readBigInt64LE(at)
    return Number.isSafeInteger(Number(value)) ? Number(value) : value
  }

  /** A length or an offset: a u64 of at most `most`. */
  size(what: string, most: number): number {
    const from = this.#offset
    const value = this.u64()
    return value <= most ? Number(value) : this.fail(`${what} is ${value}, more than ${most}`, from)
  }

  /** A u64 length and as many bytes of UTF-8. */
  string(what: string, mostBytes: number): string {
    return this.utf8(what, this.size(`length of ${what}`, mostBytes))
  }

  /** `length` bytes of UTF-8. */
  utf8(what: string, length: number): string {
    const at = this.#take(length)
    const text = this.#window.toString('utf8', at, at + length)
    // Only text with replacement characters can have been bad, and looking for one is cheaper than checking each string.
    if (text.includes('\ufffd') && !isUtf8(this.#window.subarray(at, at + length))) {
      this.fail(`${what} is not UTF-8`, this.#offset - length)
    }
    return text
  }

  /** The next `length` bytes, for a record of fixed places. */
  view(length: number): DataView {
    const at = this.#take(length)
    return new DataView(this.#window.buffer, this.#window.byteOffset + at, length)
  }

  /** Place in the window of the next `length` bytes, which are then passed. */
  #take(length: number): number {
    if (length > this.remaining) this.fail('ends in the middle of a value')
    if (this.#offset + length > this.#start + this.#window.length) this.#fill(length)
    const at = this.#offset - this.#start
    this.#offset += length
    return at
  }

  #fill(length: number): void {
    const bytes = this.#file.bytes(this.#offset, Math.min(Math.max(length, windowBytes), this.remaining))
    this.#window = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#start = this.#offset
  }
}
