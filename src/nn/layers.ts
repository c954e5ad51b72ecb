import type { Graph } from '../graph/graph.ts'
import type { Value } from '../graph/node.ts'
import type { Activation } from '../ops/table.ts'

/** Rows of the table `name.weight` for the token ids of the step. */
export function embedding(g: Graph, name: string, vocabulary: number, width: number): Value {
  const weight = g.weight(`${name}.weight`, vocabulary, width)
  return g.op('embedding', name, { ids: g.frame('tokenIds', 'tokens'), weight }, {})['out']!
}

export interface LinearOptions {
  readonly bias?: boolean
  readonly activation?: Activation
}

/** `x . W^T + b`, with `W = name.weight` of `[out, x.width]`. */
export function linear(g: Graph, name: string, x: Value, out: number, options: LinearOptions = {}): Value {
  const weight = g.weight(`${name}.weight`, out, x.width)
  const bias = options.bias ? g.weight(`${name}.bias`, 1, out) : undefined
  return g.op('linear', name, { x, weight, bias }, { activation: options.activation ?? 'none' })['out']!
}

export function rmsNorm(g: Graph, name: string, x: Value, epsilon: number): Value {
  return g.op('rmsNorm', name, { x, weight: g.weight(`${name}.weight`, 1, x.width) }, { epsilon, offset: 0 })['out']!
}

export function add(g: Graph, name: string, x: Value, y: Value): Value {
  return g.op('add', name, { x, y }, {})['out']!
}

/** The rows whose logits are wanted, out of all tokens of the step. */
export function sampledRows(g: Graph, x: Value): Value {
  return g.op('selectRows', 'sampled_rows', { x }, {})['out']!
}

export interface GatedMlpConfig {
  readonly intermediate: number
  readonly hidden: number
  readonly activation: Activation
  readonly mlpBias: boolean
}

/** `down(activation(gate x) * up x)`. */
export function gatedMlp(g: Graph, x: Value, c: GatedMlpConfig): Value {
  const gate = linear(g, 'gate_proj', x, c.intermediate, { bias: c.mlpBias })
  const up = linear(g, 'up_proj', x, c.intermediate, { bias: c.mlpBias })
  const h = g.op('gatedActivation', 'gated', { gate, up }, { activation: c.activation })['out']!
  return linear(g, 'down_proj', h, c.hidden, { bias: c.mlpBias })
}
