import type { RemoteSpan } from './traceparent.ts'

export type Attributes = Readonly<Record<string, string | number | boolean>>

/** A span under way. */
export interface OpenSpan {
  rename(name: string): void
  set(attributes: Attributes): void
  /** A part of it that is over already, from and to in milliseconds of the epoch. */
  part(name: string, from: number, to: number): void
  fail(message: string): void
  end(): void
}

/** Spans, wherever they go. Made by `startTracing`, which is loaded only where somebody asks for it. */
export interface Tracing {
  /** Begins a span now: of a trace of its own, or of that of its parent. */
  begin(name: string, parent?: RemoteSpan | OpenSpan): OpenSpan
  /** Sends what is left. */
  close(): Promise<void>
}

export interface TracingOptions {
  /** URL of a collector. */
  readonly endpoint: string
  readonly serviceName: string
  /** Told when spans begin to be lost. */
  readonly onNotice: (text: string) => void
}
