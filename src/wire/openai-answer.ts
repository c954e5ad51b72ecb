import type { ChatLogprob, Envelope, Usage } from './openai.ts'

/*
 * Answers of the OpenAI routes, as a client sees them.
 */

export interface ChatCompletion extends Envelope {
  readonly object: string
  readonly choices: readonly {
    readonly index: number
    readonly message: AnswerMessage
    readonly logprobs: { readonly content: readonly ChatLogprob[] } | null
    readonly finish_reason: string
  }[]
  readonly usage: Usage
}

export interface AnswerMessage {
  readonly role: string
  readonly content?: string | null
  readonly tool_calls?: readonly AnswerToolCall[]
}

export interface AnswerToolCall {
  /** In streams only. */
  readonly index?: number
  readonly id: string
  readonly type: string
  readonly function: { readonly name: string | null; readonly arguments: string }
}

export interface ChatCompletionChunk extends Envelope {
  readonly object: string
  /** Empty in the last chunk of a stream that tells its usage. */
  readonly choices: readonly {
    readonly index: number
    readonly delta: AnswerMessage
    readonly logprobs: { readonly content: readonly ChatLogprob[] } | null
    readonly finish_reason: string | null
  }[]
  readonly usage?: Usage | null
}

export interface Completion extends Envelope {
  readonly object: string
  readonly choices: readonly {
    readonly index: number
    readonly text: string
    readonly logprobs: null
    readonly finish_reason: string
  }[]
  readonly usage: Usage
}

/** One event of a streamed completion; `finish_reason` is empty but in the last of each choice. */
export interface CompletionChunk extends Omit<Completion, 'usage'> {
  readonly usage?: Usage | null
}

export interface ModelList {
  readonly object: string
  readonly data: readonly {
    readonly id: string
    readonly object: string
    readonly created: number
    readonly owned_by: string
  }[]
}
