import { makeNode } from './graph.ts'
import type { GraphData, Node, Value } from './node.ts'
import { freshIds, readersOf, rootOf, substitute } from './rewrite.ts'

/**
 * A merged linear of gate and up and the `gatedActivation` of its two halves become one op, which never stores the
 * halves. Left alone when anything else reads them, or when a bias or an activation comes between.
 */
export function fuseGatedLinears(graph: GraphData): GraphData {
  const nextId = freshIds(graph)
  const replacements = new Map<number, Value>()
  const fused = new Map<Node, Node>()
  const dropped = new Set<Node>()
  const readers = readersOf(graph)
  const makers = new Map(graph.nodes.filter((n) => n.op === 'linear').map((n) => [n.outputs['out']!.id, n]))
  for (const gated of graph.nodes) {
    if (gated.op !== 'gatedActivation') continue
    const whole = bothHalves(gated)
    const linear = whole && makers.get(whole.id)
    if (!linear || readers.get(whole.id) !== 1 || linear.inputs['bias'] || linear.attributes['activation'] !== 'none') {
      continue
    }
    const { x, weight } = linear.inputs
    const node = makeNode('gatedLinear', linear.name, { x, weight }, gated.attributes, nextId)
    fused.set(linear, node)
    dropped.add(gated)
    replacements.set(gated.outputs['out']!.id, node.outputs['out']!)
  }
  const nodes = graph.nodes.filter((n) => !dropped.has(n)).map((n) => fused.get(n) ?? n)
  return { nodes: substitute(nodes, replacements), caches: graph.caches }
}

/** The value whose first half is the gate and whose second is what it gates. */
function bothHalves({ inputs }: Node): Value | undefined {
  const [gate, up] = [inputs['gate'] as Value, inputs['up'] as Value]
  const whole = rootOf(gate)
  const halves = gate.of?.start === 0 && up.of?.start === gate.width && whole.width === 2 * gate.width
  return halves && rootOf(up).id === whole.id ? whole : undefined
}
