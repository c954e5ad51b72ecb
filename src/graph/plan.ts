import { assert } from '../base/assert.ts'
import type { Limits } from '../ops/domain.ts'
import type { FormatName } from '../tensor/format.ts'
import type { KvFormat } from '../tensor/kv-format.ts'
import { encodeInputs } from './encode-inputs.ts'
import { fuseGatedLinears } from './fuse-gated-linears.ts'
import { fuseResidualNorms } from './fuse-residual-norms.ts'
import { fuseRopes } from './fuse-ropes.ts'
import { mergeLinears } from './merge-linears.ts'
import type { GraphData, Node, Operand, Weight } from './node.ts'
import { align, placeActivations } from './place-activations.ts'
import { placeWeights } from './place-weights.ts'
import type { Instruction, Place, Program, StoragePolicy } from './program.ts'

export interface PlanOptions {
  /** Format of every matrix, instead of the backend's choice for how it is stored. */
  readonly wanted?: FormatName
  /** How keys and values are kept (default f32). */
  readonly kv?: KvFormat
  /** Let values share memory when their lives do not overlap (default true). The verifying backend needs them all. */
  readonly reuse?: boolean
}

/**
 * Rewrites a graph and places it: merged linears, fused norms and gates, inputs of products rounded where the backend wants it, every weight and activation at its offset in an arena
 * of fixed size. `stored` gives the format of a checkpoint tensor. The result is data for a backend to compile.
 */
export function planProgram(
  graph: GraphData,
  limits: Limits,
  policy: StoragePolicy,
  stored: (name: string) => FormatName,
  options: PlanOptions = {},
): Program {
  assert(limits.blockSize === policy.blockSize, 'plan: the limits and the backend disagree on the KV block size')
  const merged = mergeLinears(graph, sameFormat(stored, options.wanted))
  const fused = fuseRopes(fuseGatedLinears(fuseResidualNorms(merged)))
  const weights = placeWeights(fused, policy, stored, options.wanted)
  const rewritten = encodeInputs(fused, (weight) => weights.find(weight).input)
  const activations = placeActivations(rewritten, limits, options.reuse ?? true)

  const placeOf = (operand: Operand): Place => {
    if (operand.kind === 'value') return activations.place(operand)
    if (operand.kind === 'frame') return framePlace(operand)
    const { format, layout, offset } = weights.find(operand)
    const { rows, columns } = operand
    return {
      space: 'weights',
      offset,
      domain: 'fixed',
      rows,
      width: columns,
      stride: columns,
      column: 0,
      format,
      layout,
    }
  }
  const caches = rewritten.caches.map((layer) => ({ ...layer, format: options.kv ?? 'f32' }))
  const blockBytes = caches.reduce((sum, layer) => sum + align(policy.cacheBlockBytes(layer, layer.format)), 0)
  return Object.freeze({
    limits,
    instructions: rewritten.nodes.map((node) => instruction(node, placeOf)),
    weights: weights.weights,
    caches,
    arenas: { weights: weights.bytes, activations: activations.bytes, cache: blockBytes * limits.blocks },
  })
}

function instruction(node: Node, placeOf: (o: Operand) => Place): Instruction {
  const operands = { ...node.inputs, ...node.outputs }
  const places = Object.fromEntries(Object.entries(operands).map(([name, o]) => [name, o && placeOf(o)]))
  return { op: node.op, name: node.name, places, attributes: node.attributes }
}

function framePlace(operand: Extract<Operand, { kind: 'frame' }>): Place {
  const { field, domain } = operand
  const place = { offset: 0, domain, rows: 0, width: 1, stride: 1, column: 0, format: 'f32', layout: 'rows' } as const
  return { space: 'frame', field, ...place }
}

/** Weights stored in different formats stay apart, unless all are converted to one anyway. */
const sameFormat =
  (stored: (name: string) => FormatName, wanted: FormatName | undefined) =>
  (weights: readonly Weight[]): boolean => {
    const names = weights.flatMap((w) => w.tensors)
    return wanted !== undefined || new Set(names.map(stored)).size === 1
  }
