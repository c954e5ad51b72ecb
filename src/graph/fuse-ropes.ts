import type { GraphData, Node, Value } from './node.ts'
import { rootOf } from './rewrite.ts'

/** Operands that an op rotates itself when it is given a table. */
const rotates = { writeKv: 'k', attention: 'q' } as const

/**
 * A `rope` that only a `writeKv` or an `attention` reads becomes a part of it: keys are rotated on their way into the cache, queries
 * when they are read.
 */
export function fuseRopes(graph: GraphData): GraphData {
  const dropped = new Set<Node>()
  const fused = graph.nodes.map((node): Node => {
    const operand = rotates[node.op as keyof typeof rotates]
    if (!operand || node.inputs['table']) return node
    const rope = makerOf(graph, node.inputs[operand] as Value)
    if (rope?.op !== 'rope' || countReaders(graph, rope.outputs['out']!) !== 1) return node
    dropped.add(rope)
    const { x, table } = rope.inputs
    const { style } = rope.attributes
    return {
      ...node,
      inputs: { ...node.inputs, [operand]: x, table },
      attributes: { ...node.attributes, style: style! },
    }
  })
  return { nodes: fused.filter((n) => !dropped.has(n)), caches: graph.caches }
}

/** The node that made a whole value; a view was made by none. */
const makerOf = ({ nodes }: GraphData, value: Value): Node | undefined =>
  nodes.find((n) => Object.values(n.outputs).some((out) => out.id === value.id))

const countReaders = ({ nodes }: GraphData, value: Value): number =>
  nodes.filter((n) => Object.values(n.inputs).some((o) => o?.kind === 'value' && rootOf(o).id === value.id)).length
