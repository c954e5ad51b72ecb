import { float32Json } from './float32.ts'
import type { ChatChoice, ChatDelta, ChatLogprob, CompletionChoice, Envelope, Usage } from './openai.ts'

/*
 * JSON of the OpenAI routes, keys in the order clients know. A stream's chunks differ in little: what is the same in all of
 * them is written once (`ChatChunks`, `CompletionChunks`), a chunk then costs one text and a few joints.
 */

/** Event data that ends every stream of these routes. */
export const DONE = '[DONE]'

const score = (t: { readonly token: string; readonly logprob: number | null }): string =>
  `"token":${JSON.stringify(t.token)},"logprob":${float32Json(t.logprob)}`

const logprob = (t: ChatLogprob): string =>
  `{${score(t)},"top_logprobs":[${t.top_logprobs.map((top) => `{${score(top)}}`).join(',')}]}`

const logprobs = (list: readonly ChatLogprob[] | null): string =>
  list === null ? 'null' : `{"content":[${list.map(logprob).join(',')}]}`

const envelope = (object: string, e: Envelope): string =>
  `{"object":"${object}","id":${JSON.stringify(e.id)},"created":${e.created}`

const names = (e: Envelope): string =>
  `"model":${JSON.stringify(e.model)},"system_fingerprint":${JSON.stringify(e.system_fingerprint)}`

const chatChoice = (c: ChatChoice): string =>
  `{"index":${c.index},"message":{"role":"assistant","content":${JSON.stringify(c.content)}},` +
  `"logprobs":${logprobs(c.logprobs)},"finish_reason":"${c.finish_reason}"}`

/** Answer of `POST /v1/chat/completions`. */
export function chatJson(e: Envelope, choices: readonly ChatChoice[], usage: Usage): string {
  const list = choices.map(chatChoice).join(',')
  return `${envelope('chat.completion', e)},${names(e)},"choices":[${list}],"usage":${JSON.stringify(usage)}}`
}

const completionChoice = (c: CompletionChoice): string =>
  `{"index":${c.index},"text":${JSON.stringify(c.text)},"logprobs":null,"finish_reason":"${c.finish_reason}"}`

/** Answer of `POST /v1/completions`. */
export function completionJson(e: Envelope, choices: readonly CompletionChoice[], usage: Usage): string {
  const list = choices.map(completionChoice).join(',')
  return `${envelope('text_completion', e)},${names(e)},"choices":[${list}],"usage":${JSON.stringify(usage)}}`
}

/** Chunks of one streamed chat. */
export class ChatChunks {
  readonly #head: string

  constructor(e: Envelope) {
    this.#head = `${envelope('chat.completion.chunk', e)},${names(e)},"choices":[`
  }

  piece(d: ChatDelta): string {
    const reason = d.finish_reason === null ? 'null' : `"${d.finish_reason}"`
    return (
      `${this.#head}{"index":${d.index},"delta":{"role":"assistant","content":${JSON.stringify(d.content)}},` +
      `"logprobs":${logprobs(d.logprobs)},"finish_reason":${reason}}],"usage":null}`
    )
  }

  usage(usage: Usage): string {
    return `${this.#head}],"usage":${JSON.stringify(usage)}}`
  }
}

/** Chunks of one streamed completion; the last piece of each choice tells that choice's usage. */
export class CompletionChunks {
  readonly #head: string
  readonly #names: string

  constructor(e: Envelope) {
    this.#head = envelope('text_completion', e)
    this.#names = names(e)
  }

  piece(c: CompletionChoice): string {
    return `${this.#head},"choices":[${completionChoice(c)}],${this.#names}}`
  }

  last(c: CompletionChoice, usage: Usage): string {
    return `${this.#head},${this.#names},"choices":[${completionChoice(c)}],"usage":${JSON.stringify(usage)}}`
  }
}

/** An error inside a stream of these routes; the code is 422 whatever went wrong, as clients know it. */
export const streamErrorJson = (message: string): string =>
  `{"error":{"message":${JSON.stringify(message)},"http_status_code":422}}`
