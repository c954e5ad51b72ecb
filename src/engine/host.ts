import type { EngineFacts, EngineStats, GenerateSpec, TokenEvents } from './spec.ts'

/** restarting: it died, what was asked of it waits and will go on. stopped: for good. */
export type EngineState = 'serving' | 'restarting' | 'stopped'

/**
 * An engine somewhere else: a worker thread for the library, a child process for the server.
 * Four messages cross the seam, all plain data: submit, abort, events, stats.
 */
export interface EngineHost {
  readonly facts: EngineFacts
  readonly state: EngineState
  /** Runs one request. Ends after the message with `finish`; throws a LoquentError when the request fails or `signal` aborts. */
  submit(spec: GenerateSpec, signal?: AbortSignal): AsyncGenerator<TokenEvents, void, void>
  stats(): Promise<EngineStats>
  close(): Promise<void>
}
