import type { EngineState } from '../engine/host.ts'
import type { EngineOptions, EngineStats, LoadProgress, Timings } from '../engine/spec.ts'
import type { HubOptions } from '../hub/options.ts'

/** Share of the vocabulary that is favoured after each token, and by how much. */
export interface Watermark {
  readonly gamma: number
  readonly delta: number
}

export interface LoadOptions extends Omit<EngineOptions, 'model'> {
  /**
   * Where the engine runs: on a thread of this process (the default), or in a process of its own. When it dies it is
   * started again, and its requests go on with the same bytes. A fault in native code only a process survives.
   */
  readonly engine?: 'worker' | 'process'
  /** Told what happens to the engine's thread or process, and what a process writes: lines for a log. */
  readonly onNotice?: (text: string) => void
  readonly onProgress?: (progress: LoadProgress) => void
  /** Of a model on the hub: branch, tag, pull request (`refs/pr/1`) or commit; default `main`. */
  readonly revision?: string
  /** How to get a model that is given by its id on the hub. */
  readonly hub?: Omit<HubOptions, 'revision'>
  /** Longest prompt, in tokens; less than `maxTotalTokens`, and one less when absent. */
  readonly maxInputTokens?: number
  /** Replaces the model's own tokenizer_config.json (chat template, bos, eos). */
  readonly tokenizerConfigPath?: string
  /** What `watermark: true` means; TGI's defaults (0.5 and 2) where absent. */
  readonly watermark?: Partial<Watermark>
}

/** Parameters of one generation, in the field's names; absent means the neutral value. */
export interface GenerateOptions {
  /** Default: until the model's context is full. */
  readonly maxNewTokens?: number
  readonly doSample?: boolean
  readonly temperature?: number
  readonly topK?: number
  readonly topP?: number
  readonly typicalP?: number
  readonly repetitionPenalty?: number
  readonly frequencyPenalty?: number
  /** Leave a statistical mark that `detectWatermark` finds, by the settings the model was loaded with. */
  readonly watermark?: boolean
  /** Unsigned 64-bit; random when absent. */
  readonly seed?: bigint | number
  /** The generation ends when its text contains one of these; the text keeps it. */
  readonly stop?: readonly string[]
  /** Keep only the last this many tokens of the prompt. */
  readonly truncate?: number
  readonly topNTokens?: number
  readonly promptLogprobs?: boolean
  readonly returnFullText?: boolean
  /** Add the tokenizer's special tokens (BOS) to the prompt; default true, and false for chats. */
  readonly addSpecialTokens?: boolean
  /** Whose request it is: computed prompts are only reused among requests with the same salt. */
  readonly salt?: string
  /** A head start over other requests: an integer from -10 to 10, 0 when absent. */
  readonly priority?: number
  /** Milliseconds from its arrival at the engine after which the next token is the last, with `length`. */
  readonly maxTimeMs?: number
  readonly signal?: AbortSignal
}

export interface Token {
  readonly id: number
  /** Text this token added, "" while a character is incomplete. */
  readonly text: string
  readonly logprob: number | null
  readonly special: boolean
}

export type FinishReason = 'length' | 'eos_token' | 'stop_sequence'

export interface Generation {
  /** Generated text without special tokens; with the prompt in front if `returnFullText`. */
  readonly text: string
  readonly finishReason: FinishReason
  readonly generatedTokens: number
  /** null when nothing was drawn (greedy). */
  readonly seed: bigint | null
  readonly inputTokens: number
  /** Prompt tokens with log-probabilities, when asked for. */
  readonly prefill: readonly Token[]
  readonly tokens: readonly Token[]
  /** One list a generated token, when asked for. */
  readonly topTokens: readonly (readonly Token[])[]
  readonly timings: Timings
}

export interface StreamEvent {
  /** From 1. */
  readonly index: number
  readonly token: Token
  readonly topTokens: readonly Token[]
  /** On the last event only. */
  readonly final?: Generation
}

/** A text, or the ids of its tokens, to which nothing is added. */
export type Prompt = string | readonly number[]

/** A call of a tool that an earlier answer made. */
export interface ChatToolCall {
  readonly id: string
  readonly type: string
  readonly function: {
    readonly name: string
    readonly description?: string
    /** As the model wrote them: a JSON text, or what it stands for. */
    readonly arguments: unknown
  }
}

/** A message as chat templates see it. */
export interface ChatMessage {
  readonly role: string
  readonly content: string
  readonly name?: string
  readonly tool_calls?: readonly ChatToolCall[]
  readonly tool_call_id?: string
}

export interface ModelInfo {
  readonly modelId: string
  /** Commit of a model that came from the hub. */
  readonly modelSha?: string
  readonly architecture: string
  readonly backend: string
  readonly dtype: string
  readonly vocabulary: number
  readonly maxTotalTokens: number
  readonly maxInputTokens: number
  readonly maxTopTokens: number
  /** Tokens of a KV block. */
  readonly blockTokens?: number
  readonly hasChatTemplate: boolean
  /** What `watermark: true` does here. */
  readonly watermark?: Watermark
  /** Something the user should know of the load: a fallback to the reference backend, and why. */
  readonly notice?: string
}

export interface TokenSpan {
  readonly id: number
  readonly text: string
  /** UTF-8 byte offsets into the input. */
  readonly start: number
  readonly stop: number
}

/**
 * in TGI's words); a failed request leaves the others untouched.
 */
export interface LLM {
  readonly info: ModelInfo
  generate(prompt: Prompt, options?: GenerateOptions): Promise<Generation>
  stream(prompt: Prompt, options?: GenerateOptions): AsyncIterable<StreamEvent>
  chat(messages: readonly ChatMessage[], options?: GenerateOptions): Promise<Generation>
  chatStream(messages: readonly ChatMessage[], options?: GenerateOptions): AsyncIterable<StreamEvent>
  /**
   * The prompt that the model's chat template makes of a conversation. If the last message is the assistant's, the prompt
   * ends with its content, for the model to go on. Throws `template.missing` or `template.failed`.
   */
  render(messages: readonly ChatMessage[]): string
  /** Text of ids, special tokens included. */
  decode(ids: readonly number[]): string
  tokenize(prompt: string, addSpecialTokens?: boolean): Promise<readonly TokenSpan[]>
  /** `restarting`: requests wait for the engine, and go on. `stopped`: for good. */
  readonly state: EngineState
  stats(): Promise<EngineStats>
  close(): Promise<void>
}
