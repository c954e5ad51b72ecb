import { type ClientHttp2Session, connect } from 'node:http2'
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-node'

const path = '/opentelemetry.proto.collector.trace.v1.TraceService/Export'

type Report = Parameters<SpanExporter['export']>[1]

/**
 * Sends spans over gRPC: one unary call a batch on one connection of HTTP/2, which is all that OTLP asks of gRPC (a byte
 * that says "not compressed", four of length, the message; the status in the trailers). The packages for gRPC would be
 * more than all our other dependencies together.
 */
export class GrpcExporter implements SpanExporter {
  readonly #endpoint: string
  readonly #timeoutMs: number
  #session: ClientHttp2Session | undefined

  constructor(endpoint: string, timeoutMs: number) {
    this.#endpoint = endpoint
    this.#timeoutMs = timeoutMs
  }

  export(spans: ReadableSpan[], report: Report): void {
    this.#call(ProtobufTraceSerializer.serializeRequest(spans)!).then(
      () => report({ code: 0 }),
      (error: Error) => report({ code: 1, error }),
    )
  }

  async shutdown(): Promise<void> {
    this.#session?.close()
  }

  #connection(): ClientHttp2Session {
    if (this.#session && !this.#session.closed && !this.#session.destroyed) return this.#session
    this.#session = connect(this.#endpoint)
    // Whoever waits for an answer hears of it from the stream.
    this.#session.on('error', () => {})
    this.#session.unref()
    return this.#session
  }

  #call(message: Uint8Array): Promise<void> {
    const { promise, resolve, reject } = deferred()
    const session = this.#connection()
    const failed = (error: Error) => reject(error)
    session.once('error', failed)
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    let status: string | undefined
    let words = ''
    const read = (headers: Record<string, unknown>) => {
      if (headers['grpc-status'] !== undefined) status = String(headers['grpc-status'])
      words = String(headers['grpc-message'] ?? words)
    }
    stream.on('response', read).on('trailers', read).on('error', failed).resume()
    stream.setTimeout(this.#timeoutMs, () => stream.destroy(new Error(`no answer in ${this.#timeoutMs} ms`)))
    stream.on('close', () => {
      session.off('error', failed)
      if (status === '0') resolve()
      else reject(new Error(`gRPC status ${status ?? 'missing'}${words && `: ${words}`}`))
    })
    stream.end(framed(message))
    return promise
  }
}

function framed(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(5 + message.length)
  frame.writeUInt32BE(message.length, 1)
  frame.set(message, 5)
  return frame
}

function deferred() {
  let resolve!: () => void
  let reject!: (error: Error) => void
  const promise = new Promise<void>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}
