import { makeNode } from './graph.ts'
import type { GraphData, Node, Value } from './node.ts'
import { freshIds, substitute } from './rewrite.ts'

/** `add` and the `rmsNorm` that reads its sum become one op: the sum is normalised while it is still in registers. */
export function fuseResidualNorms(graph: GraphData): GraphData {
  const nextId = freshIds(graph)
  const replacements = new Map<number, Value>()
  const fused = new Map<Node, Node>()
  const dropped = new Set<Node>()
  for (const norm of graph.nodes) {
    if (norm.op !== 'rmsNorm') continue
    const x = norm.inputs['x'] as Value
    const add = graph.nodes.find((n) => n.op === 'add' && n.outputs['out']!.id === x.id)
    if (!add || fused.has(add)) continue
    const inputs = { x: add.inputs['x'], y: add.inputs['y'], weight: norm.inputs['weight'] }
    const node = makeNode('addRmsNorm', norm.name, inputs, norm.attributes, nextId)
    fused.set(add, node)
    dropped.add(norm)
    replacements.set(add.outputs['out']!.id, node.outputs['sum']!)
    replacements.set(norm.outputs['out']!.id, node.outputs['out']!)
  }
  const nodes = graph.nodes.filter((n) => !dropped.has(n)).map((n) => fused.get(n) ?? n)
  return { nodes: substitute(nodes, replacements), caches: graph.caches }
}
