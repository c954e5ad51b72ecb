import type { GeneratedToken, ScoredToken, Timings } from '../engine/spec.ts'
import { Detokenizer, decode } from '../text/detokenizer.ts'
import { StopMatcher } from '../text/stop.ts'
import type { Tokenizer } from '../text/tokenizer.ts'
import type { FinishReason, Generation, StreamEvent, Token } from './types.ts'

/** What a transcript must know of the request it follows. */
export interface TranscriptOptions {
  readonly promptIds: readonly number[]
  readonly stop: readonly string[]
  /** null when nothing is drawn. */
  readonly seed: bigint | null
  /** Put in front of the final text. */
  readonly prefix: string
}

/** Turns the ids of one request into text as they come: per-token text, stop sequences, the final generation. */
export class Transcript {
  readonly #tokenizer: Tokenizer
  readonly #options: TranscriptOptions
  readonly #spoken: Detokenizer
  readonly #plain: Detokenizer
  readonly #stops: StopMatcher | undefined
  readonly #tokens: Token[] = []
  readonly #top: (readonly Token[])[] = []
  #prefill: readonly Token[] = []
  #text = ''
  #spokenLength = 0

  constructor(tokenizer: Tokenizer, options: TranscriptOptions) {
    this.#tokenizer = tokenizer
    this.#options = options
    this.#spoken = new Detokenizer(tokenizer.table)
    this.#plain = new Detokenizer(tokenizer.table, { skipSpecial: true })
    this.#stops = options.stop.length > 0 ? new StopMatcher(options.stop) : undefined
  }

  /** Log-probabilities of the prompt's tokens, the first null. */
  prompt(logprobs: readonly (number | null)[]): void {
    this.#prefill = this.#options.promptIds.map((id, i) => this.#alone(id, logprobs[i] ?? null))
  }

  /** Takes the next token; `stopped` says that a stop sequence is now complete and `last` that no token follows. */
  push(token: GeneratedToken, last: boolean): { readonly event: StreamEvent; readonly stopped: boolean } {
    const { id, logprob } = token
    let text = this.#spoken.push(id)
    this.#text += this.#plain.push(id)
    if (last) text += this.#flush()
    const stopped = this.#stopsAt(text, id)
    if (stopped && !last) text += this.#flush()
    const spoken = { id, text, logprob, special: this.#tokenizer.specialIds.has(id) }
    const topTokens = token.top.map((t: ScoredToken) => this.#alone(t.id, t.logprob))
    this.#tokens.push(spoken)
    if (topTokens.length > 0) this.#top.push(topTokens)
    return { event: { index: this.#tokens.length, token: spoken, topTokens }, stopped }
  }

  finish(finishReason: FinishReason, timings: Timings): Generation {
    return {
      text: this.#options.prefix + this.#text,
      finishReason,
      generatedTokens: this.#tokens.length,
      seed: this.#options.seed,
      inputTokens: this.#options.promptIds.length,
      prefill: this.#prefill,
      tokens: this.#tokens,
      topTokens: this.#top,
      timings,
    }
  }

  #flush(): string {
    this.#text += this.#plain.flush()
    return this.#spoken.flush()
  }

  /** The final text keeps the stop sequence and loses what the last token says after it. */
  #stopsAt(text: string, id: number): boolean {
    this.#spokenLength += text.length
    const match = this.#stops?.push(text)
    if (!match) return false
    if (!this.#tokenizer.specialIds.has(id))
      this.#text = this.#text.slice(0, this.#text.length - (this.#spokenLength - match.end))
    return true
  }

  #alone(id: number, logprob: number | null): Token {
    const text = decode(this.#tokenizer.table, [id])
    return { id, text, logprob, special: this.#tokenizer.specialIds.has(id) }
  }
}
