/** Where a trace comes from: what the W3C header `traceparent` says. */
export interface RemoteSpan {
  readonly traceId: string
  readonly spanId: string
  readonly flags: number
}

const shape = /^([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})$/i

/** Reads the header; undefined when it is not there, or not one (https://www.w3.org/TR/trace-context/, section 3.2). */
export function readTraceparent(header: string | readonly string[] | undefined): RemoteSpan | undefined {
  const [, version, traceId, spanId, flags] = (typeof header === 'string' && shape.exec(header)) || []
  if (!version || version.toLowerCase() === 'ff' || /^0+$/.test(traceId!) || /^0+$/.test(spanId!)) return undefined
  return { traceId: traceId!.toLowerCase(), spanId: spanId!.toLowerCase(), flags: Number.parseInt(flags!, 16) }
}
