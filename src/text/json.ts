import { fail } from '../base/errors.ts'
import { isRecord, type JsonRecord } from '../base/record.ts'

/** Parses the text of one of a model's tokenizer files. @throws tokenizer.unsupported, naming the file */
export function parseObject(text: string, file: string): JsonRecord {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    fail('tokenizer.unsupported', { reason: `${file} is not JSON: ${(error as Error).message}` }, error)
  }
  return isRecord(value) ? value : fail('tokenizer.unsupported', { reason: `${file} does not hold an object` })
}
