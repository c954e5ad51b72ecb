import { fail } from '../base/errors.ts'

export type Json = Readonly<Record<string, unknown>>

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const objectOf = (value: unknown): Json => (isObject(value) ? value : {})

export const stringOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

/** Parses the text of one of a model's tokenizer files. @throws tokenizer.unsupported, naming the file */
export function parseObject(text: string, file: string): Json {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    fail('tokenizer.unsupported', { reason: `${file} is not JSON: ${(error as Error).message}` }, error)
  }
  return isObject(value) ? value : fail('tokenizer.unsupported', { reason: `${file} does not hold an object` })
}
