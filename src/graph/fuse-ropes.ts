import type { GraphData, Node, Value } from './node.ts'
import { readersOf } from './rewrite.ts'

/** Operands that an op rotates itself when it is given a table. */
const rotates = { writeKv: 'k', attention: 'q' } as const

/**
 * A `rope` that only a `writeKv` or an `attention` reads becomes a part of it: keys are rotated on their way into the cache, queries
 * when they are read.
 */
export function fuseRopes(graph: GraphData): GraphData {
  const dropped = new Set<Node>()
  const readers = readersOf(graph)
  const ropes = new Map(graph.nodes.filter((n) => n.op === 'rope').map((n) => [n.outputs['out']!.id, n]))
  const fused = graph.nodes.map((node): Node => {
    const operand = rotates[node.op as keyof typeof rotates]
    if (!operand || node.inputs['table']) return node
    const rope = ropes.get((node.inputs[operand] as Value).id)
    if (!rope || readers.get(rope.outputs['out']!.id) !== 1) return node
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
