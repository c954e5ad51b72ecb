import type { Graph } from '../graph/graph.ts'
import type { Value } from '../graph/node.ts'

/**
 * Appends token selection to a graph: penalties, mask, temperature and cuts, then the choice and its alternatives.
 * The order is TGI's; every parameter is a field of the frame, one value a row.
 */
export function sampleFrom(g: Graph, logits: Value): void {
  const s = g.scope('sampling')
  const penalized = s.op('penalize', 'penalize', { logits }, {})['out']!
  const allowed = s.op('maskTokens', 'mask', { logits: penalized }, {})['out']!
  const warped = s.op('warp', 'warp', { logits: allowed }, {})['out']!
  s.op('choose', 'choose', { logits: warped }, {})
  s.op('topTokens', 'top_tokens', { logits: warped }, {})
}
