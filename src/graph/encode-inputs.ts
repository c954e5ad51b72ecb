import type { Encoding } from '../ops/encoding.ts'
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
  const wantedBy = (node: Node): Encoding | undefined =>
    node.op === 'linear' || node.op === 'gatedLinear' ? inputOf(node.inputs['weight'] as Weight) : undefined
  const nextId = freshIds(graph)
  const rounded = roundedWhenMade(graph, wantedBy)
  const encoded = new Map<string, Value>()
  const nodes = graph.nodes.flatMap((node): Node[] => {
    const rounding = rounded.get(node)
    if (rounding) return [{ ...node, attributes: { ...node.attributes, ...rounding } }]
    const encoding = wantedBy(node)
    const x = node.inputs['x'] as Value
    if (!encoding || [...rounded.keys()].some((maker) => makes(maker, x))) return [node]
    const key = `${rootOf(x).id}/${x.of?.start ?? 0}/${x.width}/${encoding}`
    const known = encoded.get(key)
    if (known) return [withInput(node, known)]
    const made = makeNode('encode', `${x.name}.${encoding}`, { x }, { encoding }, nextId)
    const out = made.outputs['out']!
    encoded.set(key, out)
    return [made, withInput(node, out)]
  })
  return { nodes, caches: graph.caches }
}

const withInput = (node: Node, x: Value): Node => ({ ...node, inputs: { ...node.inputs, x } })

const makes = (node: Node, value: Value): boolean => Object.values(node.outputs).some((out) => out.id === value.id)

/** Nodes that can round their result and whose readers all want it so, with the attribute that says it. */
function roundedWhenMade({ nodes }: GraphData, wantedBy: (node: Node) => Encoding | undefined) {
  const rounded = new Map<Node, Readonly<Record<string, Encoding>>>()
  for (const maker of nodes) {
    for (const [name, value] of Object.entries(maker.outputs)) {
      const attribute = opShape(maker.op).operands[name]!.rounded
      if (!attribute || maker.op === 'encode') continue
      const reads = nodes.flatMap((n) =>
        Object.entries(n.inputs).flatMap(([operand, o]) =>
          o?.kind === 'value' && rootOf(o).id === value.id ? [operand === 'x' && !o.of ? wantedBy(n) : undefined] : [],
        ),
      )
      const [first] = reads
      if (first && reads.every((r) => r === first)) rounded.set(maker, { [attribute]: first })
    }
  }
  return rounded
}
