import { fail } from '../base/errors.ts'

/** Key-value part of a GGUF file with plain values: numbers, strings, booleans, arrays of strings, typed arrays or arrays of numbers. */
export interface GgufMetadata {
  get(key: string): unknown
}

const wrong = (key: string, what: string): never =>
  fail('tokenizer.unsupported', { reason: `GGUF metadata ${key} is ${what}` })

export function stringAt(metadata: GgufMetadata, key: string): string | undefined {
  const value = metadata.get(key)
  return value === undefined || typeof value === 'string' ? value : wrong(key, 'not a string')
}

export function flagAt(metadata: GgufMetadata, key: string): boolean | undefined {
  const value = metadata.get(key)
  return value === undefined || typeof value === 'boolean' ? value : wrong(key, 'not a boolean')
}

/** An id of the vocabulary; one beyond it counts as absent, as llama.cpp has it. */
export function idAt(metadata: GgufMetadata, key: string, vocabulary: number): number | undefined {
  const value = metadata.get(key)
  if (value === undefined) return undefined
  const id = typeof value === 'bigint' ? Number(value) : value
  if (typeof id !== 'number') return wrong(key, 'not a number')
  return id >= 0 && id < vocabulary ? id : undefined
}

export function stringsAt(metadata: GgufMetadata, key: string): readonly string[] | undefined {
  const value = metadata.get(key)
  if (value === undefined) return undefined
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string'))
    return wrong(key, 'not a list of strings')
  return value
}

/** A list of `length` numbers at least. */
export function numbersAt(metadata: GgufMetadata, key: string, length: number): ArrayLike<number> | undefined {
  const value = metadata.get(key)
  if (value === undefined) return undefined
  if (!Array.isArray(value) && !ArrayBuffer.isView(value)) return wrong(key, 'not a list of numbers')
  const numbers = value as ArrayLike<number>
  return numbers.length >= length ? numbers : wrong(key, `shorter than the vocabulary (${numbers.length} of ${length})`)
}
