import assert from 'node:assert/strict'

/** What a value must be: a test of it, a pattern of a text, a list or an object of such, or the value itself. */
export type Template =
  | ((value: unknown) => boolean)
  | RegExp
  | readonly Template[]
  | { readonly [key: string]: Template }
  | string
  | number
  | boolean
  | null

/** Holds a value against a template; keys must be the same and in the same order, for clients print what they get. */
export function match(value: unknown, template: Template, path = 'answer'): void {
  if (typeof template === 'function') assert.ok(template(value), `${path} is ${JSON.stringify(value)}`)
  else if (template instanceof RegExp) assert.match(String(value), template, path)
  else if (Array.isArray(template)) matchList(value, template, path)
  else if (typeof template === 'object' && template !== null) matchObject(value, template as never, path)
  else assert.equal(value, template, path)
}

function matchList(value: unknown, template: readonly Template[], path: string): void {
  assert.ok(Array.isArray(value), `${path} is no list: ${JSON.stringify(value)}`)
  assert.equal(value.length, template.length, `${path}: ${JSON.stringify(value)}`)
  for (const [i, item] of template.entries()) match(value[i], item, `${path}[${i}]`)
}

function matchObject(value: unknown, template: { readonly [key: string]: Template }, path: string): void {
  assert.ok(typeof value === 'object' && value !== null, `${path} is no object: ${JSON.stringify(value)}`)
  assert.deepEqual(Object.keys(value), Object.keys(template), `keys of ${path}`)
  for (const [key, inner] of Object.entries(template)) {
    match((value as Record<string, unknown>)[key], inner, `${path}.${key}`)
  }
}

export const text = (value: unknown): boolean => typeof value === 'string'
export const count = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0
/** A seed, which as a double may have lost its last digits. */
export const seed = (value: unknown): boolean => Number.isInteger(value) && (value as number) >= 0
export const logprob = (value: unknown): boolean => typeof value === 'number' && value <= 0
export const bool = (value: unknown): boolean => typeof value === 'boolean'

/** The template, or null. */
export const orNull =
  (template: Template) =>
  (value: unknown): boolean => {
    if (value !== null) match(value, template)
    return true
  }

/** A list of `length` items, each like the template. */
export const each =
  (template: Template, length?: number) =>
  (value: unknown): boolean => {
    assert.ok(Array.isArray(value), `no list: ${JSON.stringify(value)}`)
    if (length !== undefined) assert.equal(value.length, length)
    for (const [i, item] of value.entries()) match(item, template, `item ${i}`)
    return true
  }
