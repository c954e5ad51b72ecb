import type { ChatMessage, GenerateOptions, LLM, StreamEvent } from '../library/index.ts'
import { loadModel, type ModelFlags } from './load-model.ts'

/** Values of `generateOptions`. */
interface GenerateFlags extends ModelFlags {
  readonly maxNewTokens?: number
  readonly temperature?: number
  readonly topK?: number
  readonly topP?: number
  readonly repetitionPenalty?: number
  readonly seed?: bigint
  readonly stop?: readonly string[]
  readonly system?: string
  readonly raw: boolean
}

/** `loquent generate "prompt"`: streams one answer to the terminal; text on stdout, everything else on stderr. */
export async function generate(prompt: string, flags: GenerateFlags): Promise<void> {
  const llm = await loadModel(modelFlags(flags))
  const abort = new AbortController()
  process.once('SIGINT', () => abort.abort())
  try {
    await print(answer(llm, prompt, flags, abort.signal))
  } finally {
    await llm.close()
  }
}

function modelFlags(flags: GenerateFlags): ModelFlags {
  const { maxNewTokens, temperature, topK, topP, repetitionPenalty, seed, stop, system, raw, ...model } = flags
  return model
}

function answer(llm: LLM, prompt: string, flags: GenerateFlags, signal: AbortSignal): AsyncIterable<StreamEvent> {
  const { maxNewTokens, temperature, topK, topP, repetitionPenalty, seed, stop } = flags
  const given = { maxNewTokens, temperature, topK, topP, repetitionPenalty, seed, stop, signal }
  const options = Object.fromEntries(Object.entries(given).filter(([, v]) => v !== undefined)) as GenerateOptions
  if (flags.raw || !llm.info.hasChatTemplate) return llm.stream(prompt, options)
  const system: ChatMessage[] = flags.system === undefined ? [] : [{ role: 'system', content: flags.system }]
  return llm.chatStream([...system, { role: 'user', content: prompt }], options)
}

async function print(events: AsyncIterable<StreamEvent>): Promise<void> {
  for await (const { token, final } of events) {
    if (!token.special) process.stdout.write(token.text)
    if (final) {
      const rate = ((final.generatedTokens - 1) / (final.timings.inference / 1000)).toFixed(0)
      process.stderr.write(
        `\nloquent: ${final.generatedTokens} tokens, ${rate} a second, ended by ${final.finishReason}\n`,
      )
    }
  }
}
