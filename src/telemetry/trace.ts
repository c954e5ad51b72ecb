import { ROOT_CONTEXT, type Span, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  NodeTracerProvider,
  type ReadableSpan,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-node'
import { GrpcExporter } from './otlp-grpc.ts'
import type { RemoteSpan } from './traceparent.ts'
import type { Attributes, OpenSpan, Tracing, TracingOptions } from './tracing.ts'

/** A batch that a collector has not taken by then is lost; so is what a dead one keeps waiting at the end. */
const exportTimeoutMs = 5_000
/** Port that collectors take OTLP over HTTP on; everything else is gRPC, as in the reference. */
const httpPort = '4318'

/** Collects spans and sends them in batches (of at most 512; 2048 may wait, what comes beyond is dropped). */
export function startTracing({ endpoint, serviceName, onNotice }: TracingOptions): Tracing {
  const exporter = telling(exporterOf(endpoint), (reason) => onNotice(`traces do not reach ${endpoint}: ${reason}`))
  const provider = new NodeTracerProvider({
    sampler: new AlwaysOnSampler(),
    resource: resourceFromAttributes({ 'service.name': serviceName }),
    spanProcessors: [new BatchSpanProcessor(exporter, { exportTimeoutMillis: exportTimeoutMs })],
  })
  const tracer = provider.getTracer('loquent')
  return {
    begin: (name, parent) => new Begun(tracer, tracer.startSpan(name, {}, contextOf(parent))),
    // What could not be sent has been told.
    close: () => provider.shutdown().catch(() => {}),
  }
}

function exporterOf(endpoint: string): SpanExporter {
  const { protocol, port, pathname, host } = new URL(endpoint)
  if (port !== httpPort && pathname === '/') return new GrpcExporter(`${protocol}//${host}`, exportTimeoutMs)
  const url = pathname === '/' ? new URL('/v1/traces', endpoint).href : endpoint
  return new OTLPTraceExporter({ url, timeoutMillis: exportTimeoutMs })
}

/** Says when sending begins to fail, once until it works again. */
function telling(exporter: SpanExporter, say: (reason: string) => void): SpanExporter {
  let failing = false
  return {
    export: (spans: ReadableSpan[], report) =>
      exporter.export(spans, (result) => {
        const failed = result.code !== 0
        if (failed && !failing) say(result.error?.message ?? 'unknown')
        failing = failed
        report(result)
      }),
    shutdown: () => exporter.shutdown(),
  }
}

function contextOf(parent: RemoteSpan | OpenSpan | undefined) {
  if (parent instanceof Begun) return trace.setSpan(ROOT_CONTEXT, parent.span)
  if (parent === undefined || !('traceId' in parent)) return ROOT_CONTEXT
  const { traceId, spanId, flags } = parent
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: flags, isRemote: true })
}

class Begun implements OpenSpan {
  readonly span: Span
  readonly #tracer: Tracer

  constructor(tracer: Tracer, span: Span) {
    this.#tracer = tracer
    this.span = span
  }

  rename(name: string): void {
    this.span.updateName(name)
  }

  set(attributes: Attributes): void {
    this.span.setAttributes(attributes)
  }

  part(name: string, from: number, to: number): void {
    this.#tracer.startSpan(name, { startTime: from }, contextOf(this)).end(to)
  }

  fail(message: string): void {
    this.span.setStatus({ code: SpanStatusCode.ERROR, message })
  }

  end(): void {
    this.span.end()
  }
}
