import { fail } from '../base/errors.ts'
import type { EngineHost } from '../engine/host.ts'
import type { GenerateSpec } from '../engine/spec.ts'
import type { TextModel } from '../text/load.ts'
import { checkOptions, samplingOf, specOf, truncateIds } from './request.ts'
import { Transcript } from './transcript.ts'
import type { ChatMessage, GenerateOptions, Generation, LLM, ModelInfo, StreamEvent, TokenSpan } from './types.ts'

/** A request after every check: what the engine runs, and how its answer becomes text. */
interface Prepared {
  readonly spec: GenerateSpec
  readonly transcript: Transcript
  readonly signal: AbortSignal | undefined
}

/** A model in memory: text on this thread, the engine on another. */
export class LoadedModel implements LLM {
  readonly info: ModelInfo
  readonly #host: EngineHost
  readonly #text: TextModel

  constructor(host: EngineHost, text: TextModel, info: ModelInfo) {
    this.#host = host
    this.#text = text
    this.info = info
  }

  generate(prompt: string, options: GenerateOptions = {}): Promise<Generation> {
    return lastOf(this.stream(prompt, options))
  }

  chat(messages: readonly ChatMessage[], options: GenerateOptions = {}): Promise<Generation> {
    return lastOf(this.chatStream(messages, options))
  }

  /** Applies the model's chat template; the template puts the special tokens, so none are added. */
  chatStream(messages: readonly ChatMessage[], options: GenerateOptions = {}): AsyncIterable<StreamEvent> {
    const template = this.#text.template ?? fail('template.missing')
    const prompt = template.render(messages, { addGenerationPrompt: true })
    return this.stream(prompt, { addSpecialTokens: false, ...options })
  }

  async *stream(prompt: string, options: GenerateOptions = {}): AsyncGenerator<StreamEvent, void, undefined> {
    const { spec, transcript, signal } = await this.#prepare(prompt, options)
    const started = performance.now()
    for await (const { promptLogprobs, tokens, finish } of this.#host.submit(spec, signal)) {
      if (promptLogprobs) transcript.prompt(promptLogprobs)
      for (const [i, token] of tokens.entries()) {
        const last = finish !== undefined && i === tokens.length - 1
        const { event, stopped } = transcript.push(token, last)
        if (stopped) {
          const timings = finish?.timings ?? { queue: 0, inference: performance.now() - started }
          const reason = finish?.reason ?? 'stop_sequence'
          yield { ...event, final: transcript.finish(reason, timings) }
          return
        }
        yield last ? { ...event, final: transcript.finish(finish.reason, finish.timings) } : event
      }
    }
  }

  async tokenize(prompt: string, addSpecialTokens = true): Promise<readonly TokenSpan[]> {
    const { ids, offsets } = await this.#text.tokenizer.encode(prompt, { addSpecialTokens })
    const bytes = Buffer.from(prompt)
    const spans = offsets
    return ids.map((id, i) => {
      const [start, stop] = spans[i] ?? [0, 0]
      return { id, text: bytes.toString('utf8', start, stop), start, stop }
    })
  }

  stats() {
    return this.#host.stats()
  }

  close(): Promise<void> {
    return this.#host.close()
  }

  async #prepare(prompt: string, options: GenerateOptions): Promise<Prepared> {
    checkOptions(prompt, options, this.info)
    const sampling = samplingOf(options)
    const { tokenizer, bosToken } = this.#text
    const bosId = bosToken === undefined ? undefined : tokenizer.idOf(bosToken)
    const encoded = await tokenizer.encode(prompt, { addSpecialTokens: options.addSpecialTokens ?? true })
    const ids = truncateIds(encoded.ids, options.truncate, bosId)
    const spec = specOf(ids, sampling, options, this.info, this.#host.facts.eosIds)
    const transcript = new Transcript(tokenizer, {
      promptIds: ids,
      stop: options.stop ?? [],
      seed: sampling.sampling ? sampling.seed : null,
      prefix: options.returnFullText ? prompt : '',
    })
    return { spec, transcript, signal: options.signal }
  }
}

async function lastOf(events: AsyncIterable<StreamEvent>): Promise<Generation> {
  for await (const { final } of events) if (final) return final
  return fail('engine.stopped', { reason: 'the generation ended without its last token' })
}
