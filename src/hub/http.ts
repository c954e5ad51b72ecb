import { setTimeout as sleep } from 'node:timers/promises'
import { fail, LoquentError } from '../base/errors.ts'
import { maxRedirects, type Patience } from './options.ts'

/** What every request of one download shares. */
export interface Connection {
  readonly endpoint: string
  readonly token?: string
  /** Id of the model, for messages. */
  readonly model: string
  readonly patience: Patience
  readonly signal?: AbortSignal
}

/** A failure that another attempt may not meet. */
export class Passing extends Error {
  /** The error to throw when there is no other attempt. */
  readonly final: LoquentError
  readonly waitMs: number | undefined

  constructor(final: LoquentError, waitMs?: number) {
    super(final.message, { cause: final })
    this.final = final
    this.waitMs = waitMs
  }
}

const passingStatuses = new Set([408, 425, 429, 500, 502, 503, 504])

/**
 * Calls `attempt` until it succeeds, fails for good, or has failed `patience.tries` times in a row. An attempt that
 * calls `progressed` starts the count anew, up to `most` attempts in all.
 */
export async function persist<T>(
  { patience, signal }: Connection,
  attempt: (progressed: () => void) => Promise<T>,
  most = patience.tries,
): Promise<T> {
  let failures = 0
  for (let made = 1; ; made++) {
    if (signal?.aborted) fail('request.aborted')
    try {
      return await attempt(() => {
        failures = 0
      })
    } catch (error) {
      if (signal?.aborted) throw new LoquentError('request.aborted', {}, { cause: error })
      if (!(error instanceof Passing)) throw error
      failures++
      const wait = error.waitMs ?? Math.min(patience.firstWaitMs * 2 ** (failures - 1), patience.maxWaitMs)
      if (failures >= patience.tries || made >= most || wait > patience.maxWaitMs) throw error.final
      await sleep(wait, undefined, signal ? { signal } : {}).catch((cause) => fail('request.aborted', {}, cause))
    }
  }
}

export interface Exchange {
  readonly method?: 'GET' | 'HEAD'
  readonly range?: string
  /** Follow to another host; a HEAD wants the endpoint's own headers instead. */
  readonly leave: boolean
}

/**
 * One request, redirects followed by hand so that the token stays with the endpoint and https is not left. Gives the
 * last answer, whatever its status; what another attempt may help is thrown for `persist`. The caller reads or cancels the body.
 */
export async function send(
  connection: Connection,
  path: string,
  { method = 'GET', range, leave }: Exchange,
): Promise<Answer> {
  const home = new URL(connection.endpoint)
  let url = new URL(path)
  for (let hops = 0; hops <= maxRedirects; hops++) {
    const answer = await exchange(connection, url, method, {
      // Sizes and hashes are of the file, not of a compressed form of it.
      'accept-encoding': 'identity',
      'user-agent': 'loquent',
      ...(range && { range }),
      ...(connection.token && url.origin === home.origin && { authorization: `Bearer ${connection.token}` }),
    })
    const { response } = answer
    const location = response.headers.get('location')
    if (response.status < 300 || response.status >= 400 || location === null) return checkStatus(connection, answer)
    const next = URL.canParse(location, url.href)
      ? new URL(location, url)
      : fail('hub.failed', { url: url.href, reason: 'redirects nowhere' })
    if (!leave && next.origin !== home.origin) return answer
    answer.close()
    const allowed = next.protocol === 'https:' || (next.protocol === 'http:' && home.protocol === 'http:')
    if (!allowed) fail('hub.failed', { url: url.href, reason: `redirects to ${next.protocol}//` })
    url = next
  }
  return fail('hub.failed', { url: path, reason: `more than ${maxRedirects} redirects` })
}

/**
 * A controller that aborts with `parent`. Not AbortSignal.any: on Node 20 a signal made by it may be collected as garbage
 * while a request still waits for it, and then nothing ends that request.
 */
export function linkedController(parent: AbortSignal | undefined): AbortController {
  const controller = new AbortController()
  if (parent?.aborted) controller.abort(parent.reason)
  parent?.addEventListener('abort', () => controller.abort(parent.reason), { once: true })
  return controller
}

/** A response whose connection is cut when it falls silent. */
export interface Answer {
  readonly response: Response
  /** The body, piece by piece. Network failures are thrown for `persist`. */
  body(): AsyncIterable<Uint8Array>
  close(): void
}

async function exchange(
  connection: Connection,
  url: URL,
  method: string,
  headers: Record<string, string>,
): Promise<Answer> {
  const { idleMs } = connection.patience
  const idle = linkedController(connection.signal)
  const { signal } = idle
  const timer = setTimeout(() => idle.abort(new Error(`silent for ${idleMs} ms`)), idleMs)
  const lost = (error: unknown): Passing => {
    clearTimeout(timer)
    return new Passing(
      new LoquentError('hub.unreachable', { url: url.origin, reason: reasonOf(error) }, { cause: error }),
    )
  }
  const response = await fetch(url.href, { method, headers, redirect: 'manual', signal }).catch((error) => {
    throw lost(error)
  })
  if (method === 'HEAD') clearTimeout(timer)
  async function* body() {
    try {
      for await (const piece of response.body ?? []) {
        timer.refresh()
        yield piece as Uint8Array
      }
    } catch (error) {
      throw error instanceof LoquentError ? error : lost(error)
    } finally {
      clearTimeout(timer)
    }
  }
  const close = () => {
    clearTimeout(timer)
    idle.abort()
  }
  return { response, body, close }
}

/** fetch hides the system's error behind `fetch failed`. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? error.cause.message || error.message : error.message
}

function checkStatus(connection: Connection, answer: Answer): Answer {
  const { status, headers, url } = answer.response
  if (!passingStatuses.has(status)) return answer
  answer.close()
  const seconds = retryAfter(headers.get('retry-after'))
  const final =
    status === 429
      ? new LoquentError('hub.rate_limited', { url: connection.endpoint, seconds: seconds ?? null })
      : new LoquentError('hub.unreachable', { url: new URL(url).origin, reason: `it answered ${status}` })
  throw new Passing(final, seconds === undefined ? undefined : seconds * 1000)
}

/** Seconds of a Retry-After header: a number or a date. */
function retryAfter(value: string | null): number | undefined {
  if (value === null) return undefined
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000
  return Number.isFinite(seconds) ? Math.max(0, Math.ceil(seconds)) : undefined
}

/** Throws what an answer other than success means. `what` was asked for: the model, a revision, a file. */
export function refuse(connection: Connection, { response, close }: Answer, what: string): never {
  close()
  const { model, token } = connection
  const code = response.headers.get('x-error-code')
  // The hub hides private models: to strangers they do not exist.
  if (response.status === 401 && code === 'RepoNotFound') {
    fail('hub.not_found', { model, reason: 'no such model, or it is private and the token does not open it' })
  }
  if (response.status === 401 || response.status === 403) {
    const gated =
      code === 'GatedRepo' ? 'its owner asks you to accept conditions on its page first' : 'it is private or gated'
    fail('hub.denied', {
      model,
      reason: `${gated}; ${token ? 'the token given does not open it' : 'no token was given'}`,
    })
  }
  if (response.status === 404)
    fail('hub.not_found', { model, reason: `no such ${code === 'RevisionNotFound' ? 'revision' : what}` })
  return fail('hub.failed', { url: response.url, reason: `it answered ${response.status} for the ${what}` })
}
