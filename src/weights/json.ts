import { isUtf8 } from 'node:buffer'
import { isRecord } from '../base/record.ts'

/** What a JSON text may hold at most; checked on the text, before anything is made of it. */
export interface JsonLimits {
  /** Deepest nesting of objects and arrays. */
  readonly depth: number
  /** Commas, which is about one for each value. */
  readonly values: number
  /** Refuse a name that the outermost object has twice; JSON.parse keeps the last and says nothing. */
  readonly distinct?: true
}

/**
 * Parses a JSON document that someone else wrote. Throws a SyntaxError with a reason for people: no UTF-8, over `limits`,
 * or no JSON.
 */
export function parseJson(bytes: Uint8Array, limits: JsonLimits): unknown {
  if (!isUtf8(bytes)) throw new SyntaxError('not UTF-8')
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')
  const members = countMembers(text, limits)
  const value: unknown = JSON.parse(text)
  if (limits.distinct && isRecord(value) && Object.keys(value).length !== members) {
    throw new SyntaxError('a name appears twice')
  }
  return value
}

/** Members of the outermost object, counted by its colons. A text that is no JSON gets any answer; JSON.parse refuses it. */
function countMembers(text: string, limits: JsonLimits): number {
  let depth = 0
  let values = 0
  let members = 0
  for (let i = 0; i < text.length; i++) {
    const c = text[i]
    if (c === '"') i = endOfString(text, i)
    else if (c === '{' || c === '[') depth++
    else if (c === '}' || c === ']') depth--
    else if (c === ',') values++
    else if (c === ':' && depth === 1) members++
    if (depth > limits.depth) throw new SyntaxError(`nested deeper than ${limits.depth}`)
    if (values > limits.values) throw new SyntaxError(`more than ${limits.values} values`)
  }
  return members
}

/** Place of the quote that ends the string begun at `from`. */
function endOfString(text: string, from: number): number {
  let end = from
  do {
    end = text.indexOf('"', end + 1)
    if (end < 0) return text.length
  } while (isEscaped(text, end))
  return end
}

function isEscaped(text: string, at: number): boolean {
  let first = at
  while (text[first - 1] === '\\') first--
  return (at - first) % 2 === 1
}
