import type { Graph } from '../graph/graph.ts'
import type { Value } from '../graph/node.ts'
import { linear } from './layers.ts'
import type { RopeConfig } from './rope.ts'

export interface AttentionConfig {
  readonly hidden: number
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  readonly attentionBias: boolean
  /** Keys a token sees, itself included; 0: all. */
  readonly window: number
  readonly rope: RopeConfig
}

/** Rotary self-attention over the paged cache of a new layer; grouped when there are fewer kv heads than heads. */
export function attention(g: Graph, x: Value, table: Value, c: AttentionConfig): Value {
  const { heads, kvHeads, headDim, window } = c
  const bias = { bias: c.attentionBias }
  const q = linear(g, 'q_proj', x, heads * headDim, bias)
  const k = linear(g, 'k_proj', x, kvHeads * headDim, bias)
  const v = linear(g, 'v_proj', x, kvHeads * headDim, bias)
  const layer = g.cache({ kvHeads, headDim })
  const style = c.rope.style
  const rotatedQ = g.op('rope', 'q_rope', { x: q, table }, { heads, headDim, style })['out']!
  const rotatedK = g.op('rope', 'k_rope', { x: k, table }, { heads: kvHeads, headDim, style })['out']!
  g.op('writeKv', 'kv', { k: rotatedK, v }, { layer, kvHeads, headDim })
  const scale = headDim ** -0.5
  const attributes = { layer, heads, kvHeads, headDim, scale, window, softcap: 0 }
  const mixed = g.op('attention', 'attention', { q: rotatedQ }, attributes)['out']!
  return linear(g, 'o_proj', mixed, c.hidden, bias)
}
