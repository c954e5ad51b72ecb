import type { Generation } from '../../library/types.ts'
import type { Envelope, Usage } from '../../wire/openai.ts'
import type { ServeSettings } from '../options.ts'

/** What stands around an answer; clients know the empty id. */
export const envelopeOf = (settings: ServeSettings, model: string): Envelope => ({
  id: '',
  created: Math.floor(Date.now() / 1000),
  model,
  system_fingerprint: `${settings.version}-${settings.dockerLabel ?? 'native'}`,
})

/** Usage of several generations; of answers to one prompt that prompt counts once. */
export function usageOf(generations: readonly Generation[], prompts: number = generations.length): Usage {
  const prompt_tokens = sum(generations.slice(0, prompts).map((g) => g.inputTokens))
  const completion_tokens = sum(generations.map((g) => g.generatedTokens))
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens }
}

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0)
