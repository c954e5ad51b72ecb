import { setImmediate as turn } from 'node:timers/promises'
import { fail } from '../base/errors.ts'
import type { EngineHost } from '../engine/host.ts'
import type { GenerateSpec } from '../engine/spec.ts'
import { decode } from '../text/detokenizer.ts'
import type { TextModel } from '../text/load.ts'
import { renderChat } from './chat.ts'
import { checkOptions, samplingOf, specOf, truncateIds } from './request.ts'
import { Transcript } from './transcript.ts'
import type {
  ChatMessage,
  GenerateOptions,
  Generation,
  LLM,
  ModelInfo,
  Prompt,
  StreamEvent,
  TokenSpan,
} from './types.ts'

/** Tokens told in one turn of the event loop: some ten milliseconds. */
const tokensATurn = 10_000

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

  generate(prompt: Prompt, options: GenerateOptions = {}): Promise<Generation> {
    return lastOf(this.stream(prompt, options))
  }

  chat(messages: readonly ChatMessage[], options: GenerateOptions = {}): Promise<Generation> {
    return lastOf(this.chatStream(messages, options))
  }

  /** Applies the model's chat template; the template puts the special tokens, so none are added. */
  chatStream(messages: readonly ChatMessage[], options: GenerateOptions = {}): AsyncIterable<StreamEvent> {
    return this.stream(this.render(messages), { addSpecialTokens: false, ...options })
  }

  render(messages: readonly ChatMessage[]): string {
    return renderChat(this.#text.template ?? fail('template.missing'), messages)
  }

  decode(ids: readonly number[]): string {
    return decode(this.#text.tokenizer.table, ids)
  }

  async *stream(prompt: Prompt, options: GenerateOptions = {}): AsyncGenerator<StreamEvent, void, undefined> {
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
    const encoding = await this.#text.tokenizer.encode(prompt, { addSpecialTokens })
    const bytes = Buffer.from(prompt)
    const spans: TokenSpan[] = []
    for (const { ids, offsets } of encoding.pieces(tokensATurn)) {
      for (const [i, id] of ids.entries()) {
        const [start, stop] = offsets[i] ?? [0, 0]
        spans.push({ id, text: bytes.toString('utf8', start, stop), start, stop })
      }
      if (ids.length === tokensATurn) await turn()
    }
    return spans
  }

  get state() {
    return this.#host.state
  }

  stats() {
    return this.#host.stats()
  }

  close(): Promise<void> {
    return this.#host.close()
  }

  async #prepare(prompt: Prompt, options: GenerateOptions): Promise<Prepared> {
    checkOptions(prompt, options, this.info)
    const sampling = samplingOf(options, this.info.watermark)
    const { tokenizer, bosToken } = this.#text
    const bosId = bosToken === undefined ? undefined : tokenizer.idOf(bosToken)
    const ids = truncateIds(await this.#idsOf(prompt, options.addSpecialTokens ?? true), options.truncate, bosId)
    const spec = specOf(ids, sampling, options, this.info, this.#host.facts.eosIds)
    const transcript = new Transcript(tokenizer, {
      promptIds: ids,
      stop: options.stop ?? [],
      seed: sampling.sampling ? sampling.seed : null,
      prefix: options.returnFullText ? this.#textOf(prompt) : '',
    })
    return { spec, transcript, signal: options.signal }
  }

  async #idsOf(prompt: Prompt, addSpecialTokens: boolean): Promise<readonly number[]> {
    if (typeof prompt !== 'string') return prompt
    return (await this.#text.tokenizer.encode(prompt, { addSpecialTokens })).ids
  }

  #textOf(prompt: Prompt): string {
    return typeof prompt === 'string' ? prompt : this.decode(prompt)
  }
}

async function lastOf(events: AsyncIterable<StreamEvent>): Promise<Generation> {
  for await (const { final } of events) if (final) return final
  return fail('engine.stopped', { reason: 'the generation ended without its last token' })
}
