import type { GenerateOptions } from '../../library/types.ts'
import type { GenerateParameters } from '../../wire/tgi.ts'
import type { Job } from './job.ts'

/** The library's words for a job's parameters; a null means the neutral value, as does leaving it out. */
export function optionsOf({ parameters: p, addSpecialTokens }: Job, signal: AbortSignal): GenerateOptions {
  return present({
    ...choiceOf(p),
    maxNewTokens: p.max_new_tokens,
    repetitionPenalty: p.repetition_penalty,
    frequencyPenalty: p.frequency_penalty,
    watermark: p.watermark || null,
    seed: p.seed,
    stop: p.stop,
    truncate: p.truncate,
    topNTokens: p.top_n_tokens,
    promptLogprobs: p.decoder_input_details,
    returnFullText: p.return_full_text,
    signal,
    addSpecialTokens: addSpecialTokens ?? null,
  })
}

/** How a token is chosen: no heat means the likeliest, and a cut that keeps everything is none. */
function choiceOf(p: GenerateParameters): Nullable<GenerateOptions> {
  if (p.temperature === 0) return { doSample: false }
  const cut = (mass: number | null) => (mass === 1 ? null : mass)
  return {
    doSample: p.do_sample,
    temperature: p.temperature,
    topK: p.top_k,
    topP: cut(p.top_p),
    typicalP: cut(p.typical_p),
  }
}

type Nullable<T> = { readonly [K in keyof T]: T[K] | null }

const present = (options: Nullable<GenerateOptions>): GenerateOptions =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null))
