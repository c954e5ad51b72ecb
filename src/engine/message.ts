import type { ErrorData } from '../base/errors.ts'
import type { RequestEvent } from './engine.ts'
import type { PackedEvents } from './event-pack.ts'
import type { EngineFacts, EngineOptions, EngineStats, GenerateSpec, LoadProgress } from './spec.ts'

/** What crosses to the engine: plain data only, so that a thread and a process are the same to it. */
export type ToEngine =
  | { readonly kind: 'submit'; readonly id: number; readonly spec: GenerateSpec }
  | { readonly kind: 'abort'; readonly id: number }
  | { readonly kind: 'stats'; readonly ticket: number }
  | { readonly kind: 'close' }

/** A process is told what to load by its first message, where nobody reads its command line. */
export type ToChild = { readonly kind: 'load'; readonly options: EngineOptions } | ToEngine

/** What comes back. All events of a step are one message; `closed` or `failed` is the last one. */
export type FromEngine =
  | { readonly kind: 'progress'; readonly progress: LoadProgress }
  | { readonly kind: 'ready'; readonly facts: EngineFacts }
  | { readonly kind: 'failed'; readonly error: ErrorData }
  | PackedEvents
  | { readonly kind: 'stats'; readonly ticket: number; readonly stats: EngineStats }
  | { readonly kind: 'closed' }

/** What a host hears of the engine, however many there were. */
export type ToHost =
  | { readonly kind: 'events'; readonly events: readonly RequestEvent[] }
  | { readonly kind: 'stats'; readonly ticket: number; readonly stats: EngineStats }
