import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { fail } from '../../base/errors.ts'
import type { EngineState } from '../../engine/host.ts'
import type { EngineStats } from '../../engine/spec.ts'
import type {
  ChatMessage,
  GenerateOptions,
  Generation,
  LLM,
  Prompt,
  StreamEvent,
  Token,
  TokenSpan,
} from '../../library/types.ts'

const maxTotalTokens = 64
const contextWords = 32
const promptLogprobs: readonly (number | null)[] = [null, -1, -0.5]

/**
 * A language model for tests of the protocol: no weights, every answer known. A prompt's words are its tokens, and its
 * first word says what happens: `hang` until aborted, `fail`, `cut` (end without a last event), `endless` text in large
 * tokens, `slow` (20 ms a token), `boom` (an error that is not ours); any other prompt is answered `w1 w2 w3 ...`.
 */
export class ScriptedLLM implements LLM {
  readonly info = {
    modelId: 'scripted',
    architecture: 'none',
    backend: 'none',
    dtype: 'none',
    vocabulary: 1000,
    maxTotalTokens,
    maxInputTokens: contextWords,
    maxTopTokens: 5,
    hasChatTemplate: false,
  }
  state: EngineState = 'serving'
  readonly calls: { readonly prompt: Prompt; readonly options: GenerateOptions }[] = []
  /** Chats made into prompts. */
  rendered = 0
  /** Requests under way, requests cut short by their signal, tokens given. */
  running = 0
  aborted = 0
  produced = 0
  /** Replaces the answer of `stats`. */
  onStats: () => Promise<EngineStats> = async () => ({}) as EngineStats
  #nextSeed = 2n ** 64n - 1n

  async generate(prompt: Prompt, options: GenerateOptions = {}): Promise<Generation> {
    for await (const { final } of this.stream(prompt, options)) if (final) return final
    return fail('request.aborted')
  }

  async *stream(prompt: Prompt, options: GenerateOptions = {}): AsyncGenerator<StreamEvent> {
    this.calls.push({ prompt, options })
    this.running++
    try {
      yield* this.#script(typeof prompt === 'string' ? prompt : this.decode(prompt), options)
    } finally {
      this.running--
      if (options.signal?.aborted) this.aborted++
    }
  }

  async *#script(prompt: string, options: GenerateOptions): AsyncGenerator<StreamEvent> {
    const words = prompt.split(' ')
    const count = this.#checkLength(words.length, options)
    const verb = words[0]
    if (verb === 'fail') fail('engine.row_failed', { reason: 'the row gave NaN' })
    if (verb === 'boom') throw new TypeError('not ours')
    if (verb === 'hang') await this.#hang(options.signal)
    const seed = options.doSample || options.temperature ? BigInt(options.seed ?? this.#nextSeed--) : null
    const tokens: Token[] = []
    for (let index = 1; verb === 'endless' || index <= count; index++) {
      await (verb === 'slow' ? sleep(20) : turn())
      if (options.signal?.aborted) fail('request.aborted')
      const token = this.#token(index, verb === 'endless' ? ' '.repeat(4000) : `${index > 1 ? ' ' : ''}w${index}`, seed)
      if (verb !== 'endless') tokens.push(token)
      const topTokens = Array.from({ length: options.topNTokens ?? 0 }, (_, i) => ({ ...token, id: token.id + i }))
      const last = verb !== 'endless' && verb !== 'cut' && index === count
      const event = { index, token, topTokens }
      yield last ? { ...event, final: this.#final(prompt, options, tokens, seed) } : event
    }
  }

  /** The library's own checks: of what only it can count. */
  #checkLength(length: number, { maxNewTokens = 3, truncate = length }: GenerateOptions): number {
    const input = Math.min(length, truncate)
    if (input + maxNewTokens > maxTotalTokens) {
      const given = `Given: ${input} \`inputs\` tokens and ${maxNewTokens} \`max_new_tokens\``
      fail('request.invalid', {
        reason: `\`inputs\` tokens + \`max_new_tokens\` must be <= ${maxTotalTokens}. ${given}`,
      })
    }
    if (input > contextWords) {
      fail('request.invalid', { reason: `\`inputs\` must have less than ${contextWords} tokens. Given: ${input}` })
    }
    return maxNewTokens
  }

  /** Later seeds are likelier, so that `best_of` has something to choose. */
  #token(index: number, text: string, seed: bigint | null): Token {
    this.produced++
    const logprob = seed === null ? -0.34 : seed === 2n ** 64n - 1n ? -2 : -1
    return { id: 100 + index, text, logprob: Math.fround(logprob), special: false }
  }

  #final(prompt: string, options: GenerateOptions, tokens: readonly Token[], seed: bigint | null): Generation {
    const words = prompt.split(' ')
    const prefill = words.map((text, id) => ({
      id,
      text,
      logprob: id < promptLogprobs.length ? promptLogprobs[id]! : -0.25,
      special: false,
    }))
    return {
      text: (options.returnFullText ? prompt : '') + tokens.map((t) => t.text).join(''),
      finishReason: 'length',
      generatedTokens: tokens.length,
      seed,
      inputTokens: words.length,
      prefill: options.promptLogprobs ? prefill : [],
      tokens,
      topTokens: options.topNTokens ? tokens.map((t) => [t]) : [],
      timings: { queue: 1.5, inference: 12.9 },
    }
  }

  async #hang(signal: AbortSignal | undefined): Promise<void> {
    if (!signal?.aborted) await new Promise((resolve) => signal?.addEventListener('abort', resolve))
    fail('request.aborted')
  }

  chat(): Promise<Generation> {
    throw new Error('not in this script')
  }

  chatStream(): AsyncIterable<StreamEvent> {
    throw new Error('not in this script')
  }

  /** The contents, one after another; the role `broken` is what no template takes. */
  render(messages: readonly ChatMessage[]): string {
    this.rendered++
    if (messages.some(({ role }) => role === 'broken')) fail('template.failed', { reason: 'no such role' })
    return messages.map(({ content }) => content).join(' ')
  }

  /** The word of each id is its number. */
  decode(ids: readonly number[]): string {
    return ids.join(' ')
  }

  async tokenize(prompt: string): Promise<readonly TokenSpan[]> {
    let start = 0
    return prompt.split(' ').map((text, id) => {
      const span = { id, text, start, stop: start + Buffer.byteLength(text) }
      start = span.stop + 1
      return span
    })
  }

  stats(): Promise<EngineStats> {
    return this.onStats()
  }

  async close(): Promise<void> {}
}
