import type { TSchema } from 'typebox'
import { float64Text } from './float32.ts'
import { type JsonKind, type JsonMark, JsonReader } from './json.ts'
import type { Read, WireType } from './schema.ts'

/** Most unknown keys that are told of one body. */
const MAX_IGNORED = 32

/** A key, or the index of an item. */
type PathStep = string | number

/** JSON of another shape than asked for: where, what is wrong, and how far the text had been read. */
export class JsonShapeError extends Error {
  readonly path: readonly PathStep[]
  readonly offset: number

  constructor(reason: string, path: readonly PathStep[], offset: number) {
    super(reason)
    this.name = 'JsonShapeError'
    this.path = [...path]
    this.offset = offset
  }
}

/** A reader that knows where in the value it is, and what it passed over. */
class ShapeReader extends JsonReader {
  readonly path: PathStep[] = []
  /** Paths of keys nobody knows that were given a value. */
  ignored: string[] = []

  ignore(key: string): void {
    if (this.ignored.length < MAX_IGNORED) this.ignored.push(joined([...this.path, key]))
  }
}

type ReadValue = (from: ShapeReader) => unknown

/** The fields of a schema we look at; schemas are our own constants, so that anything else is a programming error. */
interface Shape {
  readonly type?: JsonKind | 'integer'
  readonly title?: string
  readonly const?: string
  readonly default?: unknown
  readonly anyOf?: readonly Shape[]
  readonly oneOf?: readonly { readonly title: string; readonly properties: { readonly value: Shape } }[]
  readonly items?: Shape
  readonly properties?: Readonly<Record<string, Shape>>
  readonly required?: readonly string[]
  readonly additionalProperties?: Shape
  readonly 'x-wire'?: WireType
  readonly 'x-empty'?: string
  /** Name of the untagged enum that these keys are the variants of: one of them must be there and not null. */
  readonly 'x-one-of'?: { readonly title: string; readonly keys: readonly string[] }
}

/** A body as it was read. */
export interface Reading<T> {
  readonly value: T
  /** Paths of the keys that nobody knows, at most 32; those with a null do not count. */
  readonly ignored: readonly string[]
}

/**
 * Compiles a schema of `schema.ts` into a reader of JSON text. The reader takes the text as it comes, so that the first
 * thing wrong is the one reported, skips keys it does not know, refuses a known key given twice, and fills in what is
 * absent. It throws `JsonSyntaxError` or `JsonShapeError`.
 */
export function compileReading<T extends TSchema>(schema: T): (text: string) => Reading<Read<T>> {
  const read = reader(schema as Shape)
  return (text) => {
    const from = new ShapeReader(text)
    return { value: read(from) as Read<T>, ignored: from.ignored }
  }
}

/** The same for who does not ask what was ignored. */
export function compile<T extends TSchema>(schema: T): (text: string) => Read<T> {
  const read = compileReading(schema)
  return (text) => read(text).value
}

function reader(shape: Shape): ReadValue {
  if (shape['x-wire'] === 'tagged') return taggedReader(shape)
  if (shape['x-wire'] === 'untagged') return untaggedReader(shape)
  if (shape['x-wire'] === 'oneOrMany') return oneOrManyReader(shape)
  if (shape['x-wire'] === 'f32') return readFloat
  if (shape['x-wire']) return integerReader(shape['x-wire'])
  if (shape.anyOf) return nullableReader(reader(shape.anyOf[0]!))
  if (shape.const !== undefined) return constReader(shape.const)
  if (shape.properties) return structReader(shape)
  if (shape.type === 'object') return recordReader(shape)
  if (shape.type === 'array') return arrayReader(reader(shape.items!))
  if (shape.type === 'string') return readString
  if (shape.type === 'boolean')
    return (from) => (from.kind() === 'boolean' ? from.boolean() : mismatch(from, 'a boolean'))
  return (from) => from.value()
}

const readString: ReadValue = (from) => (from.kind() === 'string' ? from.string() : mismatch(from, 'a string'))

function constReader(wanted: string): ReadValue {
  return (from) => {
    if (from.kind() !== 'string') mismatch(from, 'a string')
    const name = from.string()
    return name === wanted ? name : broken(`unknown variant \`${name}\`, expected \`${wanted}\``, from)
  }
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
      items.push(at(from, index, read))
    })
    return items
  }
}

function oneOrManyReader(shape: Shape): ReadValue {
  const [many, one] = shape.anyOf!.map(reader) as [ReadValue, ReadValue]
  const kind = shape.anyOf![1]!.type
  return (from) => (from.kind() === kind ? [one(from)] : many(from))
}

function recordReader(shape: Shape): ReadValue {
  const read = shape.additionalProperties ? reader(shape.additionalProperties) : (from: ShapeReader) => from.value()
  return (from) => {
    if (from.kind() !== 'object') mismatch(from, 'a map')
    const members: [string, unknown][] = []
    from.object((key) => {
      from.colon()
      members.push([key, at(from, key, read)])
    })
    return Object.fromEntries(members)
  }
}

/**
 * Tries one shape after another, those that begin as the value does. Only a value that fits is read once; before it is
 * said that one fits none, it is certain that it is JSON.
 */
function untaggedReader(shape: Shape): ReadValue {
  const variants = shape.anyOf!.map((variant) => ({ kind: kindOf(variant), read: reader(variant) }))
  return (from) => {
    const kind = from.kind()
    const start = from.mark()
    const alike = variants.filter((variant) => variant.kind === undefined || variant.kind === kind)
    let furthest: JsonShapeError | undefined
    for (const { read } of alike.length > 0 ? alike : variants.slice(0, 1)) {
      const outcome = attempt(from, start, read)
      if (!outcome.error) return notEmpty(from, outcome.value, shape['x-empty'])
      if (!furthest || outcome.error.offset > furthest.offset) furthest = outcome.error
    }
    from.rewind(start)
    from.skip()
    if (shape.title === undefined) throw furthest
    return broken(`data did not match any variant of untagged enum ${shape.title}`, from)
  }
}

/** What a value of a shape begins as; undefined when it may be several. */
function kindOf({ type, 'x-wire': wire }: Shape): JsonKind | undefined {
  if (type === 'integer') return 'number'
  return wire === 'tagged' ? 'object' : type
}

/** What reading from `start` gives; a shape that does not fit leaves no trace. */
function attempt(from: ShapeReader, start: JsonMark, read: ReadValue): { value?: unknown; error?: JsonShapeError } {
  const depth = from.path.length
  const { ignored } = from
  from.rewind(start)
  from.ignored = [...ignored]
  try {
    return { value: read(from) }
  } catch (error) {
    if (!(error instanceof JsonShapeError)) throw error
    from.path.length = depth
    from.ignored = ignored
    return { error }
  }
}

function notEmpty(from: ShapeReader, value: unknown, reason: string | undefined): unknown {
  return reason !== undefined && Array.isArray(value) && value.length === 0 ? broken(reason, from) : value
}

function structReader(shape: Shape): ReadValue {
  const readers = new Map(Object.entries(shape.properties!).map(([key, value]) => [key, reader(value)]))
  const required = shape.required ?? []
  const defaults = absent(shape)
  const choice = shape['x-one-of']
  return (from) => {
    if (from.kind() !== 'object') mismatch(from, `struct ${shape.title}`)
    const found = new Map<string, unknown>()
    const depth = from.path.length
    try {
      from.object((key) => readMember(from, key, readers.get(key), found))
    } catch (error) {
      if (!(choice && error instanceof JsonShapeError && choice.keys.includes(String(error.path[depth])))) throw error
      from.path.length = depth
      noVariant(choice.title, from)
    }
    for (const key of required) if (!found.has(key)) broken(`missing field \`${key}\``, from)
    if (choice && !choice.keys.some((key) => found.get(key) != null)) noVariant(choice.title, from)
    return { ...defaults, ...Object.fromEntries(found) }
  }
}

const noVariant = (title: string, from: ShapeReader): never =>
  broken(`data did not match any variant of untagged enum ${title}`, from)

function readMember(from: ShapeReader, key: string, read: ReadValue | undefined, found: Map<string, unknown>): void {
  if (read && found.has(key)) broken(`duplicate field \`${key}\``, from)
  from.colon()
  if (read) found.set(key, at(from, key, read))
  else {
    if (from.kind() !== 'null') from.ignore(key)
    from.skip()
  }
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
      else if (from.kind() !== 'null') from.ignore(key)
      from.skip()
    })
    const end = from.offset
    if (!offsets.has('type')) broken('missing field `type`', from)
    from.seek(offsets.get('type')!)
    const type = at(from, 'type', () => readVariant(from, variants, shape.title!)) as string
    if (!offsets.has('value')) broken('missing field `value`', from)
    from.seek(offsets.get('value')!)
    const value = at(from, 'value', variants.get(type)!)
    from.seek(end)
    return { type, value }
  }
}

function readVariant(from: ShapeReader, variants: ReadonlyMap<string, unknown>, title: string): string {
  if (from.kind() !== 'string') mismatch(from, `variant of enum ${title}`)
  const name = from.string()
  const names = [...variants.keys()].map((known) => `\`${known}\``).join(', ')
  return variants.has(name) ? name : broken(`unknown variant \`${name}\`, expected one of ${names}`, from)
}

/** Least and greatest value of each integer type. */
const ranges: Readonly<
  Record<Exclude<WireType, 'f32' | 'tagged' | 'untagged' | 'oneOrMany'>, readonly [bigint, bigint]>
> = {
  u8: [0n, 255n],
  u32: [0n, 2n ** 32n - 1n],
  i32: [-(2n ** 31n), 2n ** 31n - 1n],
  u64: [0n, 2n ** 64n - 1n],
  usize: [0n, BigInt(Number.MAX_SAFE_INTEGER)],
}

/** What a double holds, told without big integers: nearly every integer there is. */
const shortNatural = /^[0-9]{1,9}$/

function integerReader(type: keyof typeof ranges): ReadValue {
  const [least, greatest] = ranges[type]
  const most = Number(greatest)
  return (from) => {
    if (from.kind() !== 'number') mismatch(from, type)
    const token = from.number()
    if (type !== 'u64' && shortNatural.test(token) && Number(token) <= most) return Number(token)
    const value = integer(token, from)
    if (typeof value === 'string') return broken(`invalid type: ${value}, expected ${type}`, from)
    if (value < least || value > greatest) broken(`invalid value: integer \`${value}\`, expected ${type}`, from)
    return type === 'u64' ? value : Number(value)
  }
}

function readFloat(from: ShapeReader): number {
  if (from.kind() !== 'number') mismatch(from, 'f32')
  const token = from.number()
  const single = Math.fround(from.double(token))
  if (!Number.isFinite(single)) broken(`invalid value: ${describeNumber(token, from)}, expected f32`, from)
  return single
}

/** The integer a token is, or how to call what it is instead: -0 and what no 64-bit integer holds are floating point. */
function integer(token: string, from: ShapeReader): bigint | string {
  if (/^-?[0-9]{1,20}$/.test(token) && token !== '-0') {
    const value = BigInt(token)
    if (value >= -(2n ** 63n) && value < 2n ** 64n) return value
  }
  return `floating point \`${token === '-0' ? '-0.0' : float64Text(from.double(token))}\``
}

function describeNumber(token: string, from: ShapeReader): string {
  const value = integer(token, from)
  return typeof value === 'string' ? value : `integer \`${value}\``
}

/** Reads what stands there (arrays and objects only up to their bracket) and says that `expected` should. */
function mismatch(from: ShapeReader, expected: string): never {
  return broken(`invalid type: ${describe(from)}, expected ${expected}`, from)
}

function describe(from: ShapeReader): string {
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

function broken(reason: string, from: ShapeReader): never {
  throw new JsonShapeError(reason, from.path, from.offset)
}

/** Reads a member or an item; an error inside finds the path as it was. */
function at(from: ShapeReader, segment: PathStep, read: ReadValue): unknown {
  from.path.push(segment)
  const value = read(from)
  from.path.pop()
  return value
}

const joined = (path: readonly PathStep[]): string =>
  path.map((step, i) => (typeof step === 'number' ? `[${step}]` : i > 0 ? `.${step}` : step)).join('')

/** A shape error as one line: `parameters.stop[0]: reason`. */
export function describeShape(error: JsonShapeError): string {
  return error.path.length === 0 ? error.message : `${joined(error.path)}: ${error.message}`
}
