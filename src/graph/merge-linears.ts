import { makeNode } from './graph.ts'
import type { GraphData, Node, Value, Weight } from './node.ts'
import { freshIds, substitute, viewOf } from './rewrite.ts'

/** Says whether weights may be stored as one: the planner answers by stored format. */
export type MayMerge = (weights: readonly Weight[]) => boolean

/**
 * Linears that read the same value become one with stacked weights, and their outputs views of its columns:
 * q, k and v; gate and up. One pass over the activations instead of several, and longer rows of work.
 */
export function mergeLinears(graph: GraphData, mayMerge: MayMerge): GraphData {
  const nextId = freshIds(graph)
  const replacements = new Map<number, Value>()
  const merged = new Map<Node, Node>()
  const dropped = new Set<Node>()
  for (const siblings of siblingsOf(graph).values()) {
    if (siblings.length < 2 || !mayMerge(siblings.map(weightOf))) continue
    const [first, ...rest] = siblings as [Node, ...Node[]]
    const node = mergeNodes(siblings, nextId)
    merged.set(first, node)
    for (const sibling of rest) dropped.add(sibling)
    let column = 0
    for (const { outputs } of siblings) {
      replacements.set(outputs['out']!.id, viewOf(node.outputs['out']!, column, outputs['out']!))
      column += outputs['out']!.width
    }
  }
  const nodes = graph.nodes.filter((n) => !dropped.has(n)).map((n) => merged.get(n) ?? n)
  return { nodes: substitute(nodes, replacements), caches: graph.caches }
}

const weightOf = (n: Node): Weight => n.inputs['weight'] as Weight

/** Linears grouped by what they read and what they do to it, in order. */
function siblingsOf(graph: GraphData): Map<string, Node[]> {
  const groups = new Map<string, Node[]>()
  for (const node of graph.nodes) {
    if (node.op !== 'linear' || weightOf(node).data) continue
    const key = `${(node.inputs['x'] as Value).id}/${node.attributes['activation']}/${node.inputs['bias'] !== undefined}`
    groups.set(key, [...(groups.get(key) ?? []), node])
  }
  return groups
}

function mergeNodes(siblings: readonly Node[], nextId: () => number): Node {
  const first = siblings[0]!
  const weights = siblings.map(weightOf)
  const weight: Weight = {
    kind: 'weight',
    rows: weights.reduce((sum, w) => sum + w.rows, 0),
    columns: weights[0]!.columns,
    tensors: weights.flatMap((w) => w.tensors),
  }
  const biases = siblings.map((n) => n.inputs['bias'] as Weight | undefined)
  const bias: Weight | undefined = biases[0] && {
    kind: 'weight',
    rows: 1,
    columns: weight.rows,
    tensors: biases.flatMap((b) => b!.tensors),
  }
  const name = siblings.map((n, i) => (i === 0 ? n.name : n.name.slice(n.name.lastIndexOf('.') + 1))).join('+')
  return makeNode('linear', name, { x: first.inputs['x'], weight, bias }, first.attributes, nextId)
}
