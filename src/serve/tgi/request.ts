import type { GenerateOptions } from '../../library/types.ts'
import type { GenerateParameters } from '../../wire/tgi.ts'

/** The library's words for a request's parameters; a null means the neutral value, as does leaving it out. */
export function optionsOf(p: GenerateParameters, signal: AbortSignal): GenerateOptions {
  return present({
    maxNewTokens: p.max_new_tokens,
    doSample: p.do_sample,
    temperature: p.temperature,
    topK: p.top_k,
    topP: p.top_p,
    typicalP: p.typical_p,
    repetitionPenalty: p.repetition_penalty,
    frequencyPenalty: p.frequency_penalty,
    seed: p.seed,
    stop: p.stop,
    truncate: p.truncate,
    topNTokens: p.top_n_tokens,
    promptLogprobs: p.decoder_input_details,
    returnFullText: p.return_full_text,
    signal,
  })
}

type Nullable<T> = { readonly [K in keyof T]: T[K] | null }

const present = (options: Nullable<GenerateOptions>): GenerateOptions =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null))
