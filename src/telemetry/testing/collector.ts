import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createServer as createHttp2, type Http2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { Readable } from 'node:stream'

/** A span as it came over the wire. */
export interface ReceivedSpan {
  readonly service: string
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  /** Empty for a root. */
  readonly parentId: string
  readonly attributes: Readonly<Record<string, string>>
  readonly failed: boolean
}

type Message = ReadonlyMap<number, readonly (Buffer | bigint)[]>

/** Fields of a protobuf message by number; lengths as bytes, numbers as integers. */
function fieldsOf(bytes: Buffer): Message {
  const fields = new Map<number, (Buffer | bigint)[]>()
  let at = 0
  const varint = () => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!
      value |= BigInt(byte & 127) << shift
      if (byte < 128) return value
    }
  }
  const take = (size: number) => {
    at += size
    return bytes.subarray(at - size, at)
  }
  while (at < bytes.length) {
    const key = Number(varint())
    const kind = key & 7
    const value = kind === 0 ? varint() : take(kind === 1 ? 8 : kind === 5 ? 4 : Number(varint()))
    fields.set(key >> 3, [...(fields.get(key >> 3) ?? []), value])
  }
  return fields
}

const all = (message: Message, field: number): readonly Buffer[] => (message.get(field) ?? []) as Buffer[]
const nested = (message: Message, field: number): readonly Message[] => all(message, field).map(fieldsOf)
const text = (message: Message, field: number): string => all(message, field)[0]?.toString() ?? ''
const hex = (message: Message, field: number): string => all(message, field)[0]?.toString('hex') ?? ''

const attributesOf = (message: Message, field: number): Record<string, string> =>
  Object.fromEntries(nested(message, field).map((kv) => [text(kv, 1), text(nested(kv, 2)[0]!, 1)]))

/** Spans of an ExportTraceServiceRequest (opentelemetry-proto, trace/v1/trace.proto). */
function spansOf(request: Buffer): ReceivedSpan[] {
  return nested(fieldsOf(request), 1).flatMap((resourceSpans) => {
    const service = attributesOf(nested(resourceSpans, 1)[0]!, 1)['service.name'] ?? ''
    return nested(resourceSpans, 2)
      .flatMap((scopeSpans) => nested(scopeSpans, 2))
      .map((span) => ({
        service,
        name: text(span, 5),
        traceId: hex(span, 1),
        spanId: hex(span, 2),
        parentId: hex(span, 4),
        attributes: attributesOf(span, 9),
        failed: nested(span, 15)[0]?.get(3)?.[0] === 2n,
      }))
  })
}

async function bytesOf(body: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of body) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** A collector on loopback that keeps the spans it is sent, by HTTP with protobuf or by gRPC. */
export class Collector {
  readonly spans: ReceivedSpan[] = []
  readonly #server: Server | Http2Server

  constructor(kind: 'http' | 'grpc') {
    this.#server = kind === 'http' ? this.#http() : this.#grpc()
  }

  async start(port = 0): Promise<string> {
    this.#server.listen(port, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  close(): void {
    this.#server.close()
  }

  #http(): Server {
    return createServer(async (request, response) => {
      if (request.url !== '/v1/traces') return response.writeHead(404).end()
      this.spans.push(...spansOf(await bytesOf(request)))
      return response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
    })
  }

  #grpc(): Http2Server {
    const server = createHttp2()
    server.on('stream', async (stream, headers) => {
      const known = headers[':path'] === '/opentelemetry.proto.collector.trace.v1.TraceService/Export'
      const body = await bytesOf(stream)
      if (known) this.spans.push(...spansOf(body.subarray(5, 5 + body.readUInt32BE(1))))
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': known ? '0' : '12' }))
      stream.end(Buffer.alloc(5))
    })
    return server
  }
}
