import type { Encoding } from '../ops/encoding.ts'
import { makeNode } from './graph.ts'
import type { GraphData, Node, Value, Weight } from './node.ts'
import { freshIds, rootOf } from './rewrite.ts'

/** What activations are rounded to for a weight; undefined leaves them as they are. */
export type InputOf = (weight: Weight) => Encoding | undefined

/**
 * Puts an `encode` before the first product that wants its input rounded, and lets all that read the same value share
 * it. So what is rounded is data in the program, and any backend can repeat it.
 */
export function encodeInputs(graph: GraphData, inputOf: InputOf): GraphData {
  const nextId = freshIds(graph)
  const encoded = new Map<string, Value>()
  const nodes = graph.nodes.flatMap((node): Node[] => {
    const multiplies = node.op === 'linear' || node.op === 'gatedLinear'
    const encoding = multiplies ? inputOf(node.inputs['weight'] as Weight) : undefined
    if (!encoding) return [node]
    const x = node.inputs['x'] as Value
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
