import type { EngineFacts, EngineStats, GenerateSpec, TokenEvents } from './spec.ts'

/**
 * An engine somewhere else: a worker thread for the library, a child process for the server one day.
 * Four messages cross the seam, all plain data: submit, abort, events, stats.
 */
export interface EngineHost {
  readonly facts: EngineFacts
  /** Runs one request. Ends after the message with `finish`; throws a LoquentError when the request fails or `signal` aborts. */
  submit(spec: GenerateSpec, signal?: AbortSignal): AsyncGenerator<TokenEvents, void, void>
  stats(): Promise<EngineStats>
  close(): Promise<void>
}
