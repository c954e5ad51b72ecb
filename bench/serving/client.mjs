import { connect } from 'node:net'
import { EventScan, llamaMore, tgiMore } from './event-scan.mjs'

/** How each server is asked for a stream, and what the last event of it says. */
const dialects = {
  tgi: {
    path: '/generate_stream',
    more: tgiMore,
    body: ({ prompt, maxTokens, sampling }) => ({
      inputs: prompt,
      parameters: { max_new_tokens: maxTokens, details: true, ...sampling },
    }),
    read: ({ token, generated_text, details, error }) => ({
      error,
      isToken: token !== undefined,
      text: generated_text,
      inputTokens: details?.input_length,
    }),
  },
  llama: {
    path: '/completion',
    more: llamaMore,
    body: ({ prompt, maxTokens, sampling }) => ({
      prompt,
      n_predict: maxTokens,
      stream: true,
      cache_prompt: true,
      ...(sampling ? { temperature: sampling.temperature, seed: sampling.seed } : { temperature: 0 }),
    }),
    read: ({ stop, content, error, tokens_evaluated }) => ({
      error: error?.message,
      isToken: error === undefined && stop !== true,
      text: stop ? content : undefined,
      inputTokens: tokens_evaluated,
    }),
  },
}

/** Longest time a request may take in all. */
const deadlineMs = 300_000

/** What all sockets read into: each read is looked through before the next. */
const shared = Buffer.alloc(65_536)

/**
 * One request to `server`, read as it comes. Resolves with when it was sent, when each token came, and how it ended:
 * `completed`, `refused` (429), `left` (after `leaveAfterMs`), `cut` (by `signal`), or `failed` with a reason. `onToken` hears
 * of each read that brought tokens. The client shares the machine with the server, so it looks at bytes, and parses
 * only the last event.
 */
export function stream(server, { leaveAfterMs, signal, onToken, ...request }) {
  const dialect = dialects[server.dialect]
  const result = { start: performance.now(), tokens: [], outcome: 'failed', reason: 'closed before its end' }
  return new Promise((resolve) => {
    const reading = new Reading(dialect, result, onToken)
    const { hostname, port } = new URL(server.origin)
    const onread = { buffer: shared, callback: (bytes, buffer) => reading.take(buffer.subarray(0, bytes)) }
    const socket = connect({ host: hostname, port: Number(port), noDelay: true, onread })
    const leave = (outcome, reason) => () => {
      Object.assign(result, { outcome, reason })
      socket.destroy()
    }
    const cut = leave('cut')
    const timers = [setTimeout(leave('failed', 'too late'), deadlineMs)]
    if (leaveAfterMs !== undefined) timers.push(setTimeout(leave('left'), leaveAfterMs))
    signal?.addEventListener('abort', cut, { once: true })
    socket.on('error', (error) => {
      if (result.outcome === 'failed' && result.reason !== 'too late') result.reason = error.message
    })
    socket.on('close', () => {
      for (const timer of timers) clearTimeout(timer)
      signal?.removeEventListener('abort', cut)
      resolve({ ...result, end: performance.now() })
    })
    socket.write(requestText(server, dialect, JSON.stringify(dialect.body(request))))
  })
}

const requestText = ({ origin }, { path }, body) =>
  `POST ${path} HTTP/1.1\r\nhost: ${origin.slice('http://'.length)}\r\nconnection: close\r\n` +
  `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`

/** A response as it comes in: its head, then its events. */
class Reading {
  #dialect
  #result
  #onToken
  #head = Buffer.alloc(0)
  #scan

  constructor(dialect, result, onToken) {
    this.#dialect = dialect
    this.#result = result
    this.#onToken = onToken
  }

  take(bytes) {
    const body = this.#head ? this.#afterHead(bytes) : bytes
    if (!body || !this.#scan) return
    const now = performance.now()
    const events = this.#scan.take(body)
    for (let i = 0; i < events; i++) this.#result.tokens.push(now)
    if (this.#scan.last !== undefined) this.#end(this.#scan.last)
    if (events > 0) this.#onToken?.(this.#result)
  }

  /** What follows the head, once it is whole. */
  #afterHead(bytes) {
    this.#head = Buffer.concat([this.#head, bytes])
    const end = this.#head.indexOf('\r\n\r\n')
    if (end < 0) return undefined
    const head = this.#head.latin1Slice(0, end)
    const body = this.#head.subarray(end + 2)
    this.#head = undefined
    this.#result.retryAfter = /^retry-after: *(.*)$/im.exec(head)?.[1]
    const status = Number(head.slice(9, 12))
    if (status === 200) {
      this.#scan = new EventScan(this.#dialect.more)
      return body
    }
    Object.assign(this.#result, { outcome: status === 429 ? 'refused' : 'failed', reason: `status ${status}` })
    return undefined
  }

  /** The last event: a token with the whole text, the whole text alone, or an error. */
  #end(json) {
    const { error, isToken, text, inputTokens } = this.#dialect.read(JSON.parse(json))
    if (!isToken) this.#result.tokens.pop()
    if (error !== undefined) {
      Object.assign(this.#result, { outcome: /overloaded/.test(error) ? 'refused' : 'failed', reason: error })
    } else if (typeof text === 'string') {
      Object.assign(this.#result, { outcome: 'completed', reason: undefined, text, inputTokens })
    }
  }
}
