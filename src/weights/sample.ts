/*
 * Writers of small files for the tests of the readers, which want every field in their hands, wrong ones included.
 */

export interface SampleEntry {
  readonly dtype: string
  readonly shape: readonly number[]
  readonly data_offsets: readonly number[]
}

/** A safetensors file of any header and `dataBytes` bytes that count 0, 1, 2 and on. */
export function safetensorsBytes(header: Readonly<Record<string, unknown>> | string, dataBytes: number): Uint8Array {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(json.length))
  return Buffer.concat([length, json, Uint8Array.from({ length: dataBytes }, (_, i) => i)])
}

/** Bytes of a GGUF file, field by field. */
export class GgufWriter {
  readonly #parts: Buffer[] = []

  u32(value: number): this {
    const part = Buffer.alloc(4)
    part.writeUInt32LE(value)
    return this.#add(part)
  }

  u64(value: number | bigint): this {
    const part = Buffer.alloc(8)
    part.writeBigUInt64LE(BigInt(value))
    return this.#add(part)
  }

  string(text: string | Uint8Array): this {
    const bytes = Buffer.from(text as string)
    return this.u64(bytes.length).#add(bytes)
  }

  head(tensors: number, pairs: number, version = 3): this {
    return this.#add(Buffer.from('GGUF')).u32(version).u64(tensors).u64(pairs)
  }

  /** `shape` innermost first, as in the file. */
  tensor(name: string, shape: readonly (number | bigint)[], type: number, offset: number | bigint): this {
    this.string(name).u32(shape.length)
    for (const size of shape) this.u64(size)
    return this.u32(type).u64(offset)
  }

  /** The file: padded to `alignment`, then `dataBytes` bytes that count 0, 1, 2 and on. */
  bytes(dataBytes: number, alignment = 32): Uint8Array {
    const head = Buffer.concat(this.#parts)
    const padding = Buffer.alloc(-head.length & (alignment - 1))
    return Buffer.concat([head, padding, Uint8Array.from({ length: dataBytes }, (_, i) => i)])
  }

  #add(part: Buffer): this {
    this.#parts.push(part)
    return this
  }
}
