import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import { eventFrame, KEEP_ALIVE_FRAME } from '../wire/sse.ts'
import { disconnectSignal } from './disconnect.ts'

const streamHeaders = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache',
  'x-accel-buffering': 'no',
}

/**
 * A response of server-sent events, written straight to the socket: a line of JSON a call, nothing kept behind it. Sends
 * its headers at once, a comment after every `keepAliveMs` of silence, and drops a client that reads nothing for `stallMs`.
 */
export class EventStream {
  /** Aborts when the client is gone. */
  readonly signal: AbortSignal
  readonly #response: ServerResponse
  readonly #stallMs: number
  readonly #keepAlive: NodeJS.Timeout

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
    return this.#response.write(eventFrame(json)) ? undefined : this.#drained()
  }

  end(): void {
    clearTimeout(this.#keepAlive)
    this.#response.end()
  }

  #comment(): void {
    if (!this.#response.writableNeedDrain) this.#response.write(KEEP_ALIVE_FRAME)
    this.#keepAlive.refresh()
  }

  /** Until the client has read what was written, or is gone. */
  #drained(): Promise<void> {
    const response = this.#response
    return new Promise((resolve) => {
      const stall = setTimeout(() => response.destroy(), this.#stallMs)
      const done = () => {
        clearTimeout(stall)
        response.off('drain', done)
        response.off('close', done)
        resolve()
      }
      response.once('drain', done)
      response.once('close', done)
    })
  }
}
