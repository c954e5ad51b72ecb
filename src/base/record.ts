/** An object of a JSON document that somebody else wrote: any names, any values. */
export type JsonRecord = Readonly<Record<string, unknown>>

/** Whether a value of a JSON document is an object, and neither null nor a list. */
export const isRecord = (value: unknown): value is JsonRecord =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The value, or an empty record where it is none. */
export const recordOf = (value: unknown): JsonRecord => (isRecord(value) ? value : {})

/** The value, or nothing where it is no text. */
export const stringOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
