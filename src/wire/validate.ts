import type { TSchema } from 'typebox'
import { float64Text } from './float32.ts'
import { type JsonKind, JsonReader } from './json.ts'
import type { Read, WireType } from './schema.ts'

/** JSON of another shape than asked for: where, what is wrong, and how far the text had been read. */
export class JsonShapeError extends Error {
  readonly path: string[] = []
  readonly offset: number

  constructor(reason: string, offset: number) {
    super(reason)
    this.name = 'JsonShapeError'
    this.offset = offset
  }
}

type ReadValue = (from: JsonReader) => unknown

/** The fields of a schema we look at; schemas are our own constants, so that anything else is a programming error. */
interface Shape {
  readonly type?: JsonKind | 'integer'
  readonly title?: string
  readonly default?: unknown
  readonly anyOf?: readonly Shape[]
  readonly oneOf?: readonly { readonly title: string; readonly properties: { readonly value: Shape } }[]
  readonly items?: Shape
  readonly properties?: Readonly<Record<string, Shape>>
  readonly required?: readonly string[]
  readonly 'x-wire'?: WireType
}

/**
 * Compiles a schema of `schema.ts` into a reader of JSON text. The reader takes the text as it comes, so that the first
 * thing wrong is the one reported, skips keys it does not know, refuses a known key given twice, and fills in what is
 * absent. It throws `JsonSyntaxError` or `JsonShapeError`.
 */
export function compile<T extends TSchema>(schema: T): (text: string) => Read<T> {
  const read = reader(schema as Shape)
  return (text) => read(new JsonReader(text)) as Read<T>
}

function reader(shape: Shape): ReadValue {
  if (shape['x-wire'] === 'tagged') return taggedReader(shape)
  if (shape['x-wire'] === 'f32') return readFloat
  if (shape['x-wire']) return integerReader(shape['x-wire'])
  if (shape.anyOf) return nullableReader(reader(shape.anyOf[0]!))
  if (shape.type === 'object') return structReader(shape)
  if (shape.type === 'array') return arrayReader(reader(shape.items!))
  if (shape.type === 'string') return (from) => (from.kind() === 'string' ? from.string() : mismatch(from, 'a string'))
  if (shape.type === 'boolean')
    return (from) => (from.kind() === 'boolean' ? from.boolean() : mismatch(from, 'a boolean'))
  return (from) => from.value()
}

const nullableReader =
  (read: ReadValue): ReadValue =>
  (from) =>
    from.kind() === 'null' ? from.null() : read(from)

function arrayReader(read: ReadValue): ReadValue {
  return (from) => {
    if (from.kind() !== 'array') mismatch(from, 'a sequence')
    const items: unknown[] = []
    from.array((index) => {
      items.push(at(`[${index}]`, () => read(from)))
    })
    return items
  }
}

function structReader(shape: Shape): ReadValue {
  const readers = new Map(Object.entries(shape.properties!).map(([key, value]) => [key, reader(value)]))
  const required = shape.required ?? []
  const defaults = absent(shape)
  return (from) => {
    if (from.kind() !== 'object') mismatch(from, `struct ${shape.title}`)
    const found = new Map<string, unknown>()
    from.object((key) => readMember(from, key, readers.get(key), found))
    for (const key of required) if (!found.has(key)) broken(`missing field \`${key}\``, from)
    return { ...defaults, ...Object.fromEntries(found) }
  }
}

function readMember(from: JsonReader, key: string, read: ReadValue | undefined, found: Map<string, unknown>): void {
  if (read && found.has(key)) broken(`duplicate field \`${key}\``, from)
  from.colon()
  if (!read) from.skip()
  else
    found.set(
      key,
      at(key, () => read(from)),
    )
}

/** What an object's absent keys stand for; the default of an object inside is laid over its own defaults. */
function absent(shape: Shape): Record<string, unknown> {
  const entries = Object.entries(shape.properties!).filter(([key]) => !shape.required?.includes(key))
  return Object.fromEntries(
    entries.map(([key, value]) => [
      key,
      value.properties ? { ...absent(value), ...(value.default as object) } : value.default,
    ]),
  )
}

/** A name in `type` says how to read `value`, whichever of the two comes first. */
function taggedReader(shape: Shape): ReadValue {
  const variants = new Map(shape.oneOf!.map(({ title, properties }) => [title, reader(properties.value)]))
  return (from) => {
    if (from.kind() !== 'object') mismatch(from, `adjacently tagged enum ${shape.title}`)
    const offsets = new Map<string, number>()
    from.object((key) => {
      if (offsets.has(key)) broken(`duplicate field \`${key}\``, from)
      from.colon()
      if (key === 'type' || key === 'value') offsets.set(key, from.offset)
      from.skip()
    })
    const end = from.offset
    for (const key of ['type', 'value']) if (!offsets.has(key)) broken(`missing field \`${key}\``, from)
    from.seek(offsets.get('type')!)
    const type = at('type', () => readVariant(from, variants, shape.title!))
    from.seek(offsets.get('value')!)
    const value = at('value', () => variants.get(type)!(from))
    from.seek(end)
    return { type, value }
  }
}

function readVariant(from: JsonReader, variants: ReadonlyMap<string, unknown>, title: string): string {
  if (from.kind() !== 'string') mismatch(from, `variant of enum ${title}`)
  const name = from.string()
  const names = [...variants.keys()].map((known) => `\`${known}\``).join(', ')
  return variants.has(name) ? name : broken(`unknown variant \`${name}\`, expected one of ${names}`, from)
}

/** Least and greatest value of each integer type. */
const ranges: Readonly<Record<Exclude<WireType, 'f32' | 'tagged'>, readonly [bigint, bigint]>> = {
  u32: [0n, 2n ** 32n - 1n],
  i32: [-(2n ** 31n), 2n ** 31n - 1n],
  u64: [0n, 2n ** 64n - 1n],
  usize: [0n, BigInt(Number.MAX_SAFE_INTEGER)],
}

function integerReader(type: keyof typeof ranges): ReadValue {
  const [least, greatest] = ranges[type]
  return (from) => {
    if (from.kind() !== 'number') mismatch(from, type)
    const value = integer(from.number(), from)
    if (typeof value === 'string') return broken(`invalid type: ${value}, expected ${type}`, from)
    if (value < least || value > greatest) broken(`invalid value: integer \`${value}\`, expected ${type}`, from)
    return type === 'u64' ? value : Number(value)
  }
}

function readFloat(from: JsonReader): number {
  if (from.kind() !== 'number') mismatch(from, 'f32')
  const token = from.number()
  const single = Math.fround(from.double(token))
  if (!Number.isFinite(single)) broken(`invalid value: ${describeNumber(token, from)}, expected f32`, from)
  return single
}

/** The integer a token is, or how to call what it is instead: -0 and what no 64-bit integer holds are floating point. */
function integer(token: string, from: JsonReader): bigint | string {
  if (/^-?[0-9]{1,20}$/.test(token) && token !== '-0') {
    const value = BigInt(token)
    if (value >= -(2n ** 63n) && value < 2n ** 64n) return value
  }
  return `floating point \`${token === '-0' ? '-0.0' : float64Text(from.double(token))}\``
}

function describeNumber(token: string, from: JsonReader): string {
  const value = integer(token, from)
  return typeof value === 'string' ? value : `integer \`${value}\``
}

/** Reads what stands there (arrays and objects only up to their bracket) and says that `expected` should. */
function mismatch(from: JsonReader, expected: string): never {
  return broken(`invalid type: ${describe(from)}, expected ${expected}`, from)
}

function describe(from: JsonReader): string {
  switch (from.kind()) {
    case 'null':
      return `${from.null()}`
    case 'boolean':
      return `boolean \`${from.boolean()}\``
    case 'number':
      return describeNumber(from.number(), from)
    case 'string':
      return `string ${JSON.stringify(from.string())}`
    case 'array':
      return 'sequence'
    case 'object':
      return 'map'
  }
}

function broken(reason: string, from: JsonReader): never {
  throw new JsonShapeError(reason, from.offset)
}

function at<T>(segment: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof JsonShapeError) error.path.unshift(segment)
    throw error
  }
}

/** A shape error as one line: `parameters.stop[0]: reason`. */
export function describeShape(error: JsonShapeError): string {
  const path = error.path.join('.').replaceAll('.[', '[')
  return path === '' ? error.message : `${path}: ${error.message}`
}
