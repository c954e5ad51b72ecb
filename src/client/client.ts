import type {
  ChatCompletion,
  ChatCompletionChunk,
  Completion,
  CompletionChunk,
  ModelList,
} from '../wire/openai-answer.ts'
import type { GenerateResponse, InfoResponse, StreamResponse } from '../wire/tgi.ts'
import { errorOf, IncompleteGenerationError, TextGenerationError, UnknownError } from './errors.ts'
import { readEvents } from './event-stream.ts'
import { objectJson, parseJson } from './json.ts'
import type { ChatInput, CompletionInput, GenerateInput } from './requests.ts'
import { type CallOptions, type ClientOptions, piecesOf, Transport, textOf } from './transport.ts'

type Members = Readonly<Record<string, unknown>>

/**
 * A client of Loquent, of TGI, and of what speaks their protocols, wherever there is `fetch`: Node.js, browsers, workers.
 *
 * Calls reject with the errors of `errors.ts`, or with the reason of an aborted signal. To leave the loop over a stream
 * closes its connection, which ends the generation on the server.
 */
export class Client {
  readonly #transport: Transport

  /** `baseUrl` is where the server is, with or without `/v1`. */
  constructor(baseUrl: string, options: ClientOptions = {}) {
    this.#transport = new Transport(baseUrl, options)
  }

  /** `POST /generate` */
  async generate(inputs: string, parameters: GenerateInput = {}, options: CallOptions = {}): Promise<GenerateResponse> {
    return (await this.#ask('/generate', options, generateJson(inputs, parameters))) as GenerateResponse
  }

  /** `POST /generate_stream`: an event a token, the last with text and details. */
  async *generateStream(
    inputs: string,
    parameters: GenerateInput = {},
    options: CallOptions = {},
  ): AsyncGenerator<StreamResponse, void, undefined> {
    let ended = false
    for await (const event of this.#events('/generate_stream', generateJson(inputs, parameters), options)) {
      ended ||= (event as StreamResponse).generated_text !== null
      yield event as StreamResponse
    }
    if (!ended) throw new IncompleteGenerationError('the stream ended before the generation did')
  }

  /** `POST /v1/chat/completions` */
  async chat(request: ChatInput, options: CallOptions = {}): Promise<ChatCompletion> {
    return (await this.#ask(
      '/v1/chat/completions',
      options,
      objectJson({ ...request, stream: false }),
    )) as ChatCompletion
  }

  /** `POST /v1/chat/completions`, streamed. */
  chatStream(request: ChatInput, options: CallOptions = {}): AsyncGenerator<ChatCompletionChunk, void, undefined> {
    return this.#chunks<ChatCompletionChunk>('/v1/chat/completions', request as unknown as Members, options)
  }

  /** `POST /v1/completions` */
  async completion(request: CompletionInput, options: CallOptions = {}): Promise<Completion> {
    return (await this.#ask('/v1/completions', options, objectJson({ ...request, stream: false }))) as Completion
  }

  /** `POST /v1/completions`, streamed. */
  completionStream(
    request: CompletionInput,
    options: CallOptions = {},
  ): AsyncGenerator<CompletionChunk, void, undefined> {
    return this.#chunks<CompletionChunk>('/v1/completions', request as unknown as Members, options)
  }

  /** `GET /v1/models` */
  async models(options: CallOptions = {}): Promise<ModelList> {
    return (await this.#ask('/v1/models', options)) as ModelList
  }

  /** `GET /info` */
  async info(options: CallOptions = {}): Promise<InfoResponse> {
    return (await this.#ask('/info', options)) as InfoResponse
  }

  /** `GET /health`: whether the server is there and works. */
  async health(options: CallOptions = {}): Promise<boolean> {
    try {
      const response = await this.#transport.send({ path: '/health', accept: '*/*', retries: 0, ...options })
      await response.body?.cancel()
      return true
    } catch (error) {
      if (error instanceof TextGenerationError) return false
      throw error
    }
  }

  async #ask(path: string, options: CallOptions, body?: string): Promise<unknown> {
    const response = await this.#transport.send({
      path,
      accept: 'application/json',
      ...(body !== undefined && { body }),
      ...options,
    })
    return parseAnswer(await textOf(response, { signal: options.signal }))
  }

  async *#chunks<T>(path: string, request: Members, options: CallOptions): AsyncGenerator<T, void, undefined> {
    const body = objectJson({ ...request, stream: true })
    let ended = false
    for await (const event of this.#events(path, body, options)) {
      const { choices } = event as { choices?: readonly { finish_reason?: unknown }[] }
      ended ||= choices?.some(({ finish_reason: reason }) => reason) ?? false
      yield event as T
    }
    if (!ended) throw new IncompleteGenerationError('the stream ended before the generation did')
  }

  /** Events up to the end or `[DONE]`; one that tells an error throws it. */
  async *#events(path: string, body: string, options: CallOptions): AsyncGenerator<unknown, void, undefined> {
    const response = await this.#transport.send({ path, body, accept: 'text/event-stream', ...options })
    const type = response.headers.get('content-type')
    if (!response.body || !type?.startsWith('text/event-stream')) {
      await response.body?.cancel()
      throw new UnknownError(`asked for a stream and got ${type}`, { status: response.status })
    }
    for await (const data of readEvents(piecesOf(response.body, options.signal))) {
      if (data === '[DONE]') return
      const event = parseAnswer(data)
      if (typeof event === 'object' && event !== null && 'error' in event) throw errorOf(response.status, event)
      yield event
    }
  }
}

function generateJson(inputs: string, parameters: GenerateInput): string {
  return `{"inputs":${JSON.stringify(inputs)},"parameters":${objectJson(parameters as Members)}}`
}

function parseAnswer(text: string): unknown {
  try {
    return parseJson(text)
  } catch (cause) {
    throw new UnknownError('an answer that is no JSON', { cause })
  }
}
