import type { GraphData, Node, Operand, Value } from './node.ts'

/** What every pass is: a graph in, a graph out, neither touched. */
export type Pass = (graph: GraphData) => GraphData

/** A source of value ids that no node of the graph uses yet. */
export function freshIds(graph: GraphData): () => number {
  let next = 0
  for (const node of graph.nodes) {
    for (const v of [...Object.values(node.outputs), ...Object.values(node.inputs)]) {
      if (v?.kind === 'value') next = Math.max(next, v.id + 1)
    }
  }
  return () => next++
}

/** The value that owns the memory: itself, or what it is a view of. */
export const rootOf = (v: Value): Value => v.of?.value ?? v

/** How many nodes read a value or a view of it. */
export function readersOf({ nodes }: GraphData): Map<number, number> {
  const readers = new Map<number, number>()
  for (const { inputs } of nodes) {
    const read = new Set(Object.values(inputs).flatMap((o) => (o?.kind === 'value' ? [rootOf(o).id] : [])))
    for (const id of read) readers.set(id, (readers.get(id) ?? 0) + 1)
  }
  return readers
}

/** Columns `[start, start + width)` of `value`, views of views resolved. */
export function viewOf(value: Value, start: number, like: Value): Value {
  const from = value.of ?? { value, start: 0 }
  return { ...like, of: { value: from.value, start: from.start + start } }
}

/** Replaces values by others of the same shape in every input, views of them included. */
export function substitute(nodes: readonly Node[], replacements: ReadonlyMap<number, Value>): readonly Node[] {
  if (replacements.size === 0) return nodes
  const replace = (o: Operand | undefined): Operand | undefined => {
    if (o?.kind !== 'value') return o
    const target = replacements.get(rootOf(o).id)
    if (!target) return o
    return o.of ? viewOf(target, o.of.start, o) : target
  }
  return nodes.map((node) => ({
    ...node,
    inputs: Object.fromEntries(Object.entries(node.inputs).map(([name, o]) => [name, replace(o)])),
  }))
}
