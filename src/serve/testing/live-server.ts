import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { ServeOptions } from '../options.ts'
import { createServer } from '../server.ts'
import { ScriptedLLM } from './scripted-llm.ts'

const json = { 'content-type': 'application/json' }

/** A listening server over a scripted model. */
export class LiveServer {
  readonly app: FastifyInstance
  readonly llm: ScriptedLLM
  readonly log: string[] = []

  constructor(options: ServeOptions, llm: ScriptedLLM) {
    this.llm = llm
    this.app = createServer(llm, { logLevel: 'info', ...options }, { write: (line) => this.log.push(line) })
  }

  static async start(options: ServeOptions = {}): Promise<LiveServer> {
    const live = new LiveServer(options, new ScriptedLLM())
    await live.app.listen({ host: '127.0.0.1', port: 0 })
    return live
  }

  get port(): number {
    return (this.app.server.address() as { port: number }).port
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.port}${path}`
  }

  /** Posts a value as JSON, or a text as it is. */
  post(path: string, body: unknown, init: RequestInit = {}): Promise<Response> {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    return fetch(this.url(path), { method: 'POST', headers: json, body: text, ...init })
  }

  async text(path: string, body: unknown): Promise<string> {
    return (await this.post(path, body)).text()
  }

  socket(): Socket {
    return connect(this.port, '127.0.0.1')
  }

  /** Sends bytes and returns everything that comes back until the server closes. */
  async raw(text: string): Promise<string> {
    const socket = this.socket()
    socket.end(text)
    let received = ''
    for await (const chunk of socket) received += chunk
    return received
  }

  close(): Promise<void> {
    return this.app.close()
  }
}

/** A POST as bytes. */
export function rawPost(path: string, body: string, extra = ''): string {
  const length = Buffer.byteLength(body)
  return `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n${extra}\r\n${body}`
}

/** Waits until `condition` holds; fails after ten seconds. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`)
    await sleep(5)
  }
}
