import type { Cursor } from './cursor.ts'

/** 64-bit integers are numbers where that is exact. */
export type GgufValue = string | number | bigint | boolean | readonly GgufValue[]

/** The key-value pairs of a GGUF file, such as `general.architecture` and `tokenizer.ggml.tokens`. */
export type GgufMetadata = ReadonlyMap<string, GgufValue>

export const metadataLimits = {
  pairs: 2 ** 16,
  keyBytes: 2 ** 16 - 1,
  stringBytes: 2 ** 24,
  /** Elements of all arrays together; the largest vocabularies have a million, with merges and scores. */
  elements: 2 ** 23,
  arrayDepth: 4,
} as const

interface ValueType {
  /** Bytes that the shortest value takes, to refuse counts that cannot be true before anything is made for them. */
  readonly least: number
  readonly read: (c: Cursor) => GgufValue
}

const stringType: ValueType = { least: 8, read: (c) => c.string('a string', metadataLimits.stringBytes) }

/** By the number a file gives them; 9 is the array. */
const valueTypes: readonly (ValueType | 'array')[] = [
  { least: 1, read: (c) => c.u8() },
  { least: 1, read: (c) => c.i8() },
  { least: 2, read: (c) => c.u16() },
  { least: 2, read: (c) => c.i16() },
  { least: 4, read: (c) => c.u32() },
  { least: 4, read: (c) => c.i32() },
  { least: 4, read: (c) => c.f32() },
  { least: 1, read: (c) => c.u8() !== 0 },
  stringType,
  'array',
  { least: 8, read: (c) => c.u64() },
  { least: 8, read: (c) => c.i64() },
  { least: 8, read: (c) => c.f64() },
]

/** Type and count, before any element. */
const arrayHeadBytes = 12

export function readMetadata(cursor: Cursor, pairs: number): GgufMetadata {
  const metadata = new Map<string, GgufValue>()
  const budget = { elements: metadataLimits.elements }
  for (let i = 0; i < pairs; i++) {
    const from = cursor.offset
    const key = cursor.string('a key', metadataLimits.keyBytes)
    if (metadata.has(key)) cursor.fail(`key ${key} appears twice`, from)
    metadata.set(key, readValue(cursor, 0, budget))
  }
  return metadata
}

function readValue(cursor: Cursor, depth: number, budget: { elements: number }): GgufValue {
  const type = readType(cursor)
  return type === 'array' ? readArray(cursor, depth + 1, budget) : type.read(cursor)
}

function readArray(cursor: Cursor, depth: number, budget: { elements: number }): readonly GgufValue[] {
  if (depth > metadataLimits.arrayDepth) cursor.fail(`arrays nested deeper than ${metadataLimits.arrayDepth}`)
  const type = readType(cursor)
  const count = cursor.size('number of elements', budget.elements)
  const least = type === 'array' ? arrayHeadBytes : type.least
  if (count * least > cursor.remaining) cursor.fail(`an array of ${count} elements ends past the end of the file`)
  budget.elements -= count
  const values: GgufValue[] = []
  for (let i = 0; i < count; i++)
    values.push(type === 'array' ? readArray(cursor, depth + 1, budget) : type.read(cursor))
  return values
}

function readType(cursor: Cursor): ValueType | 'array' {
  const from = cursor.offset
  const number = cursor.u32()
  return valueTypes[number] ?? cursor.fail(`unknown value type ${number}`, from)
}
