import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'
import { eventFrame, KEEP_ALIVE_FRAME } from '../wire/sse.ts'
import { disconnectSignal } from './disconnect.ts'

const streamHeaders = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache',
  'x-accel-buffering': 'no',
}

/**
 * A response of server-sent events, written straight to the socket: a line of JSON a call, nothing kept beyond the turn. Sends
 * its headers at once, a comment after every `keepAliveMs` of silence, and drops a client that reads nothing for `stallMs`.
 */
export class EventStream {
  /** Aborts when the client is gone. */
  readonly signal: AbortSignal
  readonly #response: ServerResponse
  readonly #stallMs: number
  readonly #keepAlive: NodeJS.Timeout
  /** Chunks that are written at the end of this turn. */
  #unsent = ''

  constructor(
    reply: FastifyReply,
    headers: Readonly<Record<string, string>>,
    options: { readonly keepAliveMs: number; readonly stallMs: number },
  ) {
    reply.hijack()
    this.#response = reply.raw
    this.#stallMs = options.stallMs
    this.signal = disconnectSignal(this.#response)
    this.#response.writeHead(200, { ...reply.getHeaders(), ...streamHeaders, ...headers } as Record<string, string>)
    this.#response.flushHeaders()
    this.#keepAlive = setTimeout(() => this.#comment(), options.keepAliveMs)
  }

  /** Sends one event. Returns a promise when the client is behind: the caller must wait for it before the next. */
  send(json: string): Promise<void> | undefined {
    this.#keepAlive.refresh()
    if (this.signal.aborted) return undefined
    const response = this.#response
    const { socket } = response
    const frame = eventFrame(json)
    if (!socket || !response.chunkedEncoding) return response.write(frame) ? undefined : this.#drained(response)
    if (this.#unsent === '') process.nextTick(() => this.#flush())
    this.#unsent += `${Buffer.byteLength(frame).toString(16)}\r\n${frame}\r\n`
    return socket.writableNeedDrain ? this.#drained(socket) : undefined
  }

  end(): void {
    clearTimeout(this.#keepAlive)
    this.#flush()
    this.#response.end()
  }

  /**
   * Writes chunks of HTTP as one text, past `response.write`, which makes three buffers of each and takes a fifth of all
   * the work that an event is. Not before the end of the turn, so that the events of a step go out one after another.
   */
  #flush(): void {
    const chunks = this.#unsent
    this.#unsent = ''
    if (chunks !== '') this.#response.socket?.write(chunks)
  }

  #comment(): void {
    const to = this.#response.socket ?? this.#response
    if (!to.writableNeedDrain) this.#response.write(KEEP_ALIVE_FRAME)
    this.#keepAlive.refresh()
  }

  /** Until the client has read what was written, or is gone. */
  #drained(to: Socket | ServerResponse): Promise<void> {
    const response = this.#response
    return new Promise((resolve) => {
      const stall = setTimeout(() => response.destroy(), this.#stallMs)
      const done = () => {
        clearTimeout(stall)
        to.off('drain', done)
        response.off('close', done)
        resolve()
      }
      to.once('drain', done)
      response.once('close', done)
    })
  }
}
