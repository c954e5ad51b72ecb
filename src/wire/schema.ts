import { type Static, type TSchema, Type } from 'typebox'

/**
 * The vocabulary our request schemas are written in: JSON Schema, which documents a route, with one note of our own
 * (`x-wire`), which tells the reader the exact type and how an error names it. Names of types are those the reference
 * server's errors use.
 */
export type WireType = 'u8' | 'u32' | 'i32' | 'u64' | 'usize' | 'f32' | 'tagged' | 'untagged' | 'oneOrMany'

type Notes = { readonly description?: string; readonly minimum?: number; readonly maximum?: number }

export const u8 = (notes: Notes = {}) => Type.Integer({ minimum: 0, maximum: 255, ...notes, 'x-wire': 'u8' })

export const u32 = (notes: Notes = {}) =>
  Type.Integer({ format: 'int32', minimum: 0, maximum: 0xffffffff, ...notes, 'x-wire': 'u32' })

export const i32 = (notes: Notes = {}) => Type.Integer({ format: 'int32', ...notes, 'x-wire': 'i32' })

/** A count; beyond 2^53 - 1 it is refused. */
export const usize = (notes: Notes = {}) => Type.Integer({ minimum: 0, ...notes, 'x-wire': 'usize' })

/** Unsigned 64-bit, never through a double. */
export const u64 = (notes: Notes = {}) =>
  Type.Unsafe<bigint>({ type: 'integer', format: 'int64', minimum: 0, ...notes, 'x-wire': 'u64' })

/** Rounded to float32 when read, as its bounds are checked on what it becomes. */
export const f32 = (notes: Notes = {}) => Type.Number({ format: 'float', ...notes, 'x-wire': 'f32' })

/** May be left out; `absent` then stands for it. Null is an error unless `schema` is nullable. */
export const optional = <T extends TSchema>(schema: T, absent: unknown) =>
  Type.Optional(Type.Unsafe<Static<T>>({ ...schema, default: absent }))

/** May be null, and may be left out, which means null. */
export const nullable = <T extends TSchema>(schema: T) =>
  Type.Optional(Type.Unsafe<Static<T> | null>({ anyOf: [schema, { type: 'null' }], default: null }))

/** `{"type": name, "value": ...}`, the value's shape chosen by the name. */
export const tagged = <T>(title: string, variants: Readonly<Record<string, TSchema>>) =>
  Type.Unsafe<T>({
    title,
    oneOf: Object.entries(variants).map(([name, value]) =>
      Type.Object({ type: Type.Literal(name), value }, { title: name }),
    ),
    'x-wire': 'tagged',
  })

/**
 * The first of several shapes that fits. With a `title` nothing but it is told of a value that fits none, as the reference
 * server does; without one, the error of the shape that got furthest is.
 */
export const untagged = <T>(variants: readonly TSchema[], notes: UntaggedNotes = {}) =>
  Type.Unsafe<T>({ anyOf: [...variants], ...notes, 'x-wire': 'untagged' })

interface UntaggedNotes {
  readonly title?: string
  readonly description?: string
  /** What to say of an empty list, which then is refused. */
  readonly 'x-empty'?: string
}

/** A list; a bare value stands for a list of one. */
export const oneOrMany = <T>(item: TSchema, notes: Notes = {}) =>
  Type.Unsafe<readonly T[]>({ anyOf: [Type.Array(item), item], ...notes, 'x-wire': 'oneOrMany' })

/** What reading gives: every key present, at every depth. */
export type Read<T extends TSchema> = Filled<Static<T>>

type Filled<V> = V extends readonly (infer Item)[]
  ? readonly Filled<Item>[]
  : V extends object
    ? { readonly [K in keyof V]-?: Filled<Exclude<V[K], undefined>> }
    : V
