import { isRecord } from '../../base/record.ts'
import type { Grammar } from '../../wire/tgi.ts'

/**
 * What is wrong with a grammar by itself, in the words clients know; undefined if nothing is. An expression is not looked
 * at: the reference server leaves that to the generation.
 */
export function grammarFault({ type, value }: Grammar): string | undefined {
  if (type === 'regex') return undefined
  return schemaFault(type === 'json_schema' ? value.schema : value)
}

/** A schema may be written as the text of one. */
function schemaFault(given: unknown): string | undefined {
  if (typeof given !== 'string' && !isRecord(given)) return 'grammar is not supported'
  let schema: unknown = given
  try {
    if (typeof given === 'string') schema = JSON.parse(given)
  } catch (error) {
    return `grammar is not valid: ${(error as Error).message}`
  }
  if (!isRecord(schema)) return 'grammar is not valid: a schema is an object'
  return 'properties' in schema ? undefined : "grammar is not valid: Grammar must have a 'properties' field"
}
