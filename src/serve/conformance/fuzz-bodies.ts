import type { Random } from './random.ts'

/** A schema of the OpenAPI document. */
export interface Schema {
  readonly $ref?: string
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly nullable?: boolean
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: Schema
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
}

export type Schemas = Readonly<Record<string, Schema>>

const texts = [
  '',
  'x',
  'Once upon a time',
  'a '.repeat(80),
  'é😀\u0000',
  '\u202e',
  '<|im_end|>',
  '![](http://x)',
  'x'.repeat(3000),
]
const integers = [
  '0',
  '1',
  '2',
  '5',
  '-1',
  '100',
  '1023',
  '4294967295',
  '4294967296',
  '18446744073709551615',
  '9007199254740993',
  '-9223372036854775808',
]
const numbers = ['0', '0.5', '1', '1.0', '-0.0', '2', '1e-46', '1e38', '1e39', '1e400', '-3', '0.99999999']
const junk = [
  'null',
  'true',
  '[]',
  '{}',
  '""',
  '0',
  '[[[[]]]]',
  '{"a":{"b":[1,2,{"c":null}]}}',
  '"\\ud800"',
  '-',
  '01',
  'nul',
  '',
]

/** JSON text of a body: mostly of the right shape, now and then not, or no JSON at all. */
export class BodyMaker {
  readonly #random: Random
  readonly #schemas: Schemas
  /** Chance that a value is replaced by something of another shape. */
  #noise = 0

  constructor(random: Random, schemas: Schemas) {
    this.#random = random
    this.#schemas = schemas
  }

  make(schema: Schema): string {
    this.#noise = this.#random.pick([0, 0, 0.02, 0.2])
    const body = this.#value(schema, 0)
    return this.#random.chance(0.05) ? this.#damaged(body) : body
  }

  /** A character changed, taken out, or the end cut off. */
  #damaged(body: string): string {
    const at = this.#random.below(body.length + 1)
    const tail = this.#random.pick([body.slice(at + 1), `\u0000${body.slice(at)}`, `"${body.slice(at)}`, ''])
    return body.slice(0, at) + tail
  }

  #value(schema: Schema, depth: number): string {
    const random = this.#random
    if (random.chance(this.#noise)) return random.pick(junk)
    if (schema.nullable && random.chance(0.2)) return 'null'
    if (schema.$ref) return this.#value(this.#schemas[schema.$ref.split('/').at(-1)!]!, depth)
    const variants = schema.anyOf ?? schema.oneOf ?? schema.allOf
    if (variants) return this.#value(random.pick(variants), depth)
    if (schema.enum) return JSON.stringify(random.pick(schema.enum))
    return this.#typed(schema, depth)
  }

  #typed(schema: Schema, depth: number): string {
    const random = this.#random
    switch (schema.type) {
      case 'string':
        return JSON.stringify(random.pick(texts))
      case 'boolean':
        return random.pick(['true', 'false'])
      case 'integer':
        return random.pick(integers)
      case 'number':
        return random.pick(numbers)
      case 'array':
        return `[${random.list(depth > 3 ? 1 : 3, () => this.#value(schema.items ?? {}, depth + 1)).join(',')}]`
      case 'object':
        return this.#object(schema, depth)
      default:
        return random.pick(junk.slice(0, 9))
    }
  }

  #object({ properties = {}, required = [], additionalProperties }: Schema, depth: number): string {
    const random = this.#random
    const members = Object.entries(properties)
      .filter(([name]) => (required.includes(name) ? !random.chance(this.#noise) : random.chance(0.25)))
      .map(([name, schema]): [string, string] => [name, this.#value(schema, depth + 1)])
    if (additionalProperties) members.push([String(random.below(9)), this.#value(additionalProperties, depth + 1)])
    if (random.chance(this.#noise))
      members.push([random.pick(['__proto__', 'constructor', 'foo', '']), random.pick(junk)])
    if (members.length > 0 && random.chance(this.#noise)) members.push(random.pick(members))
    return `{${members.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`
  }
}
