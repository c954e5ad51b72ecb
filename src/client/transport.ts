import { ConnectionError, errorOf } from './errors.ts'
import { parseJson } from './json.ts'

export interface ClientOptions {
  /** Sent as `Authorization: Bearer`. */
  readonly apiKey?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Attempts after the first, where the server is full (429), not ready (503), or not there; default 2. */
  readonly retries?: number
  /** Takes the place of the global fetch. */
  readonly fetch?: typeof fetch
}

/** What one call may change. */
export interface CallOptions {
  /** Instead of the client's. */
  readonly retries?: number
  readonly signal?: AbortSignal
  readonly headers?: Readonly<Record<string, string>>
}

const firstWaitMs = 500
/** Longest wait between attempts; a server that asks for more gets no other attempt. */
export const maxWaitMs = 30_000
/** Longest part of an answer that is no success, in bytes. */
const maxErrorBytes = 2 ** 20

export interface Call extends CallOptions {
  readonly path: string
  /** JSON; absent in a GET. */
  readonly body?: string
  readonly accept: string
}

/** Sends requests to one server, again where that may help. */
export class Transport {
  readonly #base: string
  readonly #options: ClientOptions

  constructor(baseUrl: string, options: ClientOptions) {
    // Base addresses of OpenAI clients end in /v1.
    this.#base = baseUrl.replace(/\/+$/, '').replace(/\/v1$/, '')
    this.#options = options
  }

  /** The answer, once it is a success; throws the error of one that is none. */
  async send(call: Call): Promise<Response> {
    const retries = call.retries ?? this.#options.retries ?? 2
    for (let attempt = 0; ; attempt++) {
      const response = await this.#attempt(call)
      if (response instanceof Response && response.ok) return response
      const wait = attempt < retries ? waitBefore(response, attempt) : undefined
      if (wait === undefined) throw response instanceof Response ? await failure(response) : response
      if (response instanceof Response) await response.body?.cancel()
      await pause(wait, call.signal)
    }
  }

  async #attempt({ path, body, accept, signal, headers }: Call): Promise<Response | ConnectionError> {
    const { apiKey, headers: always, fetch: send = fetch } = this.#options
    const init: RequestInit = {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        accept,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
        ...always,
        ...headers,
      },
      ...(body !== undefined && { body }),
      ...(signal && { signal }),
    }
    try {
      return await send(this.#base + path, init)
    } catch (cause) {
      signal?.throwIfAborted()
      return new ConnectionError(`no answer from ${this.#base}: ${reasonOf(cause)}`, { cause })
    }
  }
}

/** fetch of Node.js hides the reason in the cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? error.cause.message || error.message : error.message
}

/** Milliseconds until another attempt makes sense, undefined where none does. */
function waitBefore(response: Response | ConnectionError, attempt: number): number | undefined {
  // Clients that were refused together should not come back together.
  const backoff = Math.min(firstWaitMs * 2 ** attempt, maxWaitMs) * (0.75 + Math.random() / 4)
  if (!(response instanceof Response)) return backoff
  if (response.status !== 429 && response.status !== 503) return undefined
  const wait = retryAfter(response.headers.get('retry-after')) ?? backoff
  return wait <= maxWaitMs ? wait : undefined
}

/** Milliseconds of a Retry-After header: seconds or a date. */
function retryAfter(value: string | null): number | undefined {
  if (value === null) return undefined
  const wait = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now()
  return Number.isNaN(wait) ? undefined : Math.max(0, wait)
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer)
      reject(signal!.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', end)
      resolve()
    }, ms)
    if (signal?.aborted) end()
    else signal?.addEventListener('abort', end, { once: true })
  })
}

async function failure(response: Response): Promise<Error> {
  const text = await textOf(response, { most: maxErrorBytes })
  let body: unknown = text
  try {
    body = parseJson(text)
  } catch {
    // Bodies that could not be read are answered in plain text.
  }
  return errorOf(response.status, body)
}

/** The body as text; of a longer one than `most` bytes only the beginning. */
export async function textOf(
  { body }: Response,
  { most = Number.POSITIVE_INFINITY, signal }: { readonly most?: number; readonly signal?: AbortSignal | undefined },
): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  for await (const piece of body ? piecesOf(body, signal) : []) {
    bytes += piece.length
    text += decoder.decode(piece, { stream: true })
    if (bytes > most) break
  }
  return text + decoder.decode()
}

/**
 * The pieces of a body. Not every browser can iterate a stream. A connection that breaks is a `ConnectionError`; leaving
 * the loop closes it.
 */
export async function* piecesOf(
  body: ReadableStream<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = body.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } catch (cause) {
    signal?.throwIfAborted()
    throw new ConnectionError(`the connection broke: ${reasonOf(cause)}`, { cause })
  } finally {
    await reader.cancel().catch(() => {})
  }
}
