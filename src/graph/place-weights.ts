import type { OpName } from '../ops/table.ts'
import type { FormatName } from '../tensor/format.ts'
import type { GraphData, Weight } from './node.ts'
import { align } from './place-activations.ts'
import type { PlacedWeight, StoragePolicy, WeightUse } from './program.ts'

/** Equal keys, equal contents: a tied embedding and head are stored once. */
const keyOf = (w: Weight): string | Float32Array => w.data ?? w.tensors.join('\n')

const useOf = (op: OpName): WeightUse =>
  op === 'linear' || op === 'gatedLinear' ? 'linear' : op === 'embedding' ? op : 'vector'

export interface WeightPlacement {
  readonly weights: readonly PlacedWeight[]
  readonly bytes: number
  find(weight: Weight): PlacedWeight
}

/** Lays every weight once into the weights arena, in the form that the backend wants for all of its uses. */
export function placeWeights(
  graph: GraphData,
  policy: StoragePolicy,
  stored: (name: string) => FormatName,
  wanted: FormatName | undefined,
): WeightPlacement {
  const uses = new Map<string | Float32Array, { weight: Weight; use: WeightUse }>()
  for (const node of graph.nodes) {
    for (const [operand, weight] of Object.entries(node.inputs)) {
      if (weight?.kind !== 'weight') continue
      const use = operand === 'weight' ? useOf(node.op) : 'vector'
      const known = uses.get(keyOf(weight))
      if (!known || use === 'linear') uses.set(keyOf(weight), { weight, use })
    }
  }
  let bytes = 0
  const placed = new Map<string | Float32Array, PlacedWeight>()
  for (const [key, { weight, use }] of uses) {
    const storage = policy.storage(weight, use, weight.tensors.map(stored), use === 'vector' ? undefined : wanted)
    placed.set(key, { weight, ...storage, offset: bytes })
    bytes += align(storage.bytes)
  }
  return { weights: [...placed.values()], bytes, find: (weight) => placed.get(keyOf(weight))! }
}
