import { assert } from '../base/assert.ts'
import { fail } from '../base/errors.ts'
import type { Domain } from '../ops/domain.ts'
import type { FrameField } from '../ops/frame.ts'
import { type AttributesOf, type OperandFacts, type OpName, opShape } from '../ops/table.ts'
import type { CacheLayer, FrameRef, GraphData, Node, Operand, Value, Weight } from './node.ts'

/** Shape of a checkpoint tensor, or undefined when it is not there; the builder asks, weights stay on disk. */
export type FindShape = (name: string) => readonly number[] | undefined

interface Shared {
  readonly find: FindShape
  readonly nodes: Node[]
  readonly caches: CacheLayer[]
  nextValue: number
}

/**
 * Builds a graph of ops. `scope('self_attn')` prefixes the names of weights and of intermediates alike.
 * The builder checks every op against the shape rule of the table and knows no device, dtype, shard or cache.
 */
export class Graph {
  readonly #shared: Shared
  readonly #path: string

  constructor(find: FindShape, shared?: Shared, path = '') {
    this.#shared = shared ?? { find, nodes: [], caches: [], nextValue: 0 }
    this.#path = path
  }

  /** A builder whose names begin with `name`, as `cd` would. */
  scope(name: string): Graph {
    return new Graph(this.#shared.find, this.#shared, this.path(name))
  }

  path(name: string): string {
    return this.#path ? `${this.#path}.${name}` : name
  }

  has(name: string): boolean {
    return this.#shared.find(this.path(name)) !== undefined
  }

  /** The checkpoint tensor `name` of this scope, which must be `[rows, columns]`, or `[columns]` for one row. */
  weight(name: string, rows: number, columns: number): Weight {
    const path = this.path(name)
    const shape = this.#shared.find(path)
    if (!shape) fail('weights.missing', { where: path, what: 'the checkpoint has no such tensor' })
    const stored = shape.length === 1 ? [1, shape[0]] : shape
    if (stored.length !== 2 || stored[0] !== rows || stored[1] !== columns) {
      fail('weights.missing', {
        where: path,
        what: `shape [${shape}] where the configuration wants [${rows}, ${columns}]`,
      })
    }
    return { kind: 'weight', rows, columns, tensors: [path] }
  }

  /** Numbers known while building, such as rope frequencies; row-major `[rows, columns]`. */
  constant(rows: number, data: Float32Array): Weight {
    assert(data.length % rows === 0, 'constant: rows do not divide the data')
    return { kind: 'weight', rows, columns: data.length / rows, tensors: [], data }
  }

  frame(field: FrameField, domain: Domain): FrameRef {
    return { kind: 'frame', field, domain }
  }

  /** Columns `[start, start + width)` of a value; costs nothing at run time. */
  columns(value: Value, start: number, width: number): Value {
    assert(start >= 0 && start + width <= value.width, 'columns: out of range')
    const root = value.of ?? { value, start: 0 }
    return { ...value, id: this.#shared.nextValue++, width, of: { value: root.value, start: root.start + start } }
  }

  /** Registers the KV cache of one more attention layer and returns its number. */
  cache(layer: CacheLayer): number {
    return this.#shared.caches.push(layer) - 1
  }

  /** Appends an op; returns its outputs by the names of the table. `name` labels the intermediate. */
  op<N extends OpName>(
    op: N,
    name: string,
    inputs: Readonly<Record<string, Operand | undefined>>,
    attributes: AttributesOf<N>,
  ): Readonly<Record<string, Value>> {
    const node = makeNode(op, this.path(name), inputs, attributes, () => this.#shared.nextValue++)
    this.#shared.nodes.push(node)
    return node.outputs
  }

  /** The finished graph, frozen. */
  finish(): GraphData {
    return Object.freeze({
      nodes: Object.freeze([...this.#shared.nodes]),
      caches: Object.freeze([...this.#shared.caches]),
    })
  }
}

/** Makes a node checked against the table; passes use it too. */
export function makeNode(
  op: OpName,
  name: string,
  inputs: Readonly<Record<string, Operand | undefined>>,
  attributes: Readonly<Record<string, number | string>>,
  nextId: () => number,
): Node {
  const shape = opShape(op)
  const all = { ...shape.defaults, ...attributes }
  for (const [operand, { kind, optional }] of Object.entries(shape.operands) as [
    string,
    { kind: string; optional?: true },
  ][]) {
    if (kind !== 'output')
      assert(inputs[operand] !== undefined || optional, `${op} ${name}: operand ${operand} is missing`)
  }
  const facts = Object.fromEntries(Object.entries(inputs).map(([k, v]) => [k, v && operandFacts(v)]))
  const outputs = Object.entries(shape.shape(facts, all)).map(([output, { domain, width }]) => {
    const suffix = output === 'out' ? '' : `.${output}`
    return [output, Object.freeze({ kind: 'value', id: nextId(), name: name + suffix, domain, width } as const)]
  })
  return Object.freeze({
    op,
    name,
    inputs: Object.freeze({ ...inputs }),
    outputs: Object.freeze(Object.fromEntries(outputs)),
    attributes: Object.freeze(all),
  })
}

/** What the rules of the op table see of an operand. */
export function operandFacts(o: Operand): OperandFacts {
  switch (o.kind) {
    case 'value':
      return { domain: o.domain, width: o.width, rows: 0 }
    case 'weight':
      return { domain: 'fixed', width: o.columns, rows: o.rows }
    case 'frame':
      return { domain: o.domain, width: 1, rows: 0 }
  }
}
