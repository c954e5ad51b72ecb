import { greenList } from '../ops/green-list.ts'
import type { LLM, Watermark } from './types.ts'

/** TGI's defaults. */
export const defaultWatermark: Watermark = { gamma: 0.5, delta: 2 }

export interface WatermarkEvidence {
  /** Pairs of neighbouring tokens looked at; a pair that comes again counts once. */
  readonly scored: number
  readonly green: number
  /** Standard deviations above what chance gives; 4 is strong evidence (one text in thirty thousand by accident). */
  readonly zScore: number
}

/**
 * Looks for a watermark in tokens: how many are on the green list of the token before (Kirchenbauer et al., "A Watermark
 * for Large Language Models", 2023).
 * @param vocabulary number of logits of the model that wrote them
 */
export function detectWatermark(
  ids: readonly number[],
  vocabulary: number,
  gamma: number = defaultWatermark.gamma,
): WatermarkEvidence {
  const lists = new Map<number, ReadonlySet<number>>()
  const seen = new Set<string>()
  let green = 0
  for (let i = 1; i < ids.length; i++) {
    const [previous, id] = [ids[i - 1]!, ids[i]!]
    if (seen.has(`${previous} ${id}`)) continue
    seen.add(`${previous} ${id}`)
    const list = lists.get(previous) ?? new Set(greenList(previous, vocabulary, gamma))
    lists.set(previous, list)
    if (list.has(id)) green++
  }
  const scored = seen.size
  const spread = Math.sqrt(scored * gamma * (1 - gamma))
  return { scored, green, zScore: spread === 0 ? 0 : (green - gamma * scored) / spread }
}

/** The same for a text, by the tokenizer, vocabulary and settings of a loaded model. */
export async function detectWatermarkOf(llm: Pick<LLM, 'tokenize' | 'info'>, text: string): Promise<WatermarkEvidence> {
  const ids = (await llm.tokenize(text, false)).map((t) => t.id)
  return detectWatermark(ids, llm.info.vocabulary, (llm.info.watermark ?? defaultWatermark).gamma)
}
