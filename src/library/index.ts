/** The public face of the package: `import { load } from 'loquent'`. */
export { type ErrorCode, LoquentError } from '../base/errors.ts'
export type { EngineStats, LoadProgress, Timings } from '../engine/spec.ts'
export { embeddedModel } from './embedded.ts'
export { load } from './load.ts'
export type {
  ChatMessage,
  FinishReason,
  GenerateOptions,
  Generation,
  LLM,
  LoadOptions,
  ModelInfo,
  StreamEvent,
  Token,
  TokenSpan,
} from './types.ts'
