import { type Encoding, encodedBlock } from '../ops/encoding.ts'
import { opShape } from '../ops/table.ts'
import { makeNode } from './graph.ts'
import type { GraphData, Node, Value, Weight } from './node.ts'
import { freshIds, rootOf } from './rewrite.ts'

/** What activations are rounded to for a weight; undefined leaves them as they are. */
export type InputOf = (weight: Weight) => Encoding | undefined

/**
 * Lets every product that wants its input rounded read it so. An op that can round its result does, where nobody wants it as it is;
 * otherwise an `encode` goes before the first of those that share it. So what is rounded is data in the program, and any backend
 * can repeat it.
 */
export function encodeInputs(graph: GraphData, inputOf: InputOf): GraphData {
  const wantedBy: WantedBy = (node) =>
    node.op === 'linear' || node.op === 'gatedLinear' ? inputOf(node.inputs['weight'] as Weight) : undefined
  const nextId = freshIds(graph)
  const rounded = roundedWhenMade(graph, wantedBy)
  const encoded = new Map<string, Value>()
  const nodes = graph.nodes.flatMap((given): Node[] => {
    const rounding = Object.values(given.outputs).map(({ id }) => rounded.get(id))
    const node: Node = { ...given, attributes: Object.assign({ ...given.attributes }, ...rounding) }
    const encoding = wantedBy(node)
    const x = node.inputs['x'] as Value
    if (!encoding || rounded.has(x.id)) return [node]
    const key = `${rootOf(x).id}/${x.of?.start ?? 0}/${x.width}/${encoding}`
    const known = encoded.get(key)
    if (known) return [withInput(node, known)]
    const encode = makeNode('encode', `${x.name}.${encoding}`, { x }, { encoding }, nextId)
    const out = encode.outputs['out']!
    encoded.set(key, out)
    return [encode, withInput(node, out)]
  })
  return { nodes, caches: graph.caches }
}

const withInput = (node: Node, x: Value): Node => ({ ...node, inputs: { ...node.inputs, x } })

type WantedBy = (node: Node) => Encoding | undefined

/** How every value (views of it included) is wanted by those that read it; undefined: as it is. */
function readersOf({ nodes }: GraphData, wantedBy: WantedBy): Map<number, (Encoding | undefined)[]> {
  const readers = new Map<number, (Encoding | undefined)[]>()
  for (const node of nodes) {
    for (const [operand, o] of Object.entries(node.inputs)) {
      if (o?.kind !== 'value') continue
      const wanted = operand === 'x' && !o.of ? wantedBy(node) : undefined
      readers.set(rootOf(o).id, [...(readers.get(rootOf(o).id) ?? []), wanted])
    }
  }
  return readers
}

/** Values whose makers can round them and whose readers all want it so, with the attribute that says it. */
function roundedWhenMade(graph: GraphData, wantedBy: WantedBy): Map<number, Readonly<Record<string, Encoding>>> {
  const readers = readersOf(graph, wantedBy)
  const rounded = new Map<number, Readonly<Record<string, Encoding>>>()
  for (const { op, outputs, attributes } of graph.nodes) {
    for (const [name, { id }] of Object.entries(outputs)) {
      const { rounded: attribute, unit } = opShape(op).operands[name]!
      const [first, ...others] = readers.get(id) ?? []
      if (!attribute || op === 'encode' || !first || others.some((o) => o !== first)) continue
      if (unit && Number(attributes[unit]) % encodedBlock !== 0) continue
      rounded.set(id, { [attribute]: first })
    }
  }
  return rounded
}
