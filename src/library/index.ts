/** The public face of the package: `import { load } from 'loquent'`. */
export { type ErrorCode, LoquentError } from '../base/errors.ts'
export type { EngineState } from '../engine/host.ts'
export type { MemoryPlan } from '../engine/memory-plan.ts'
export type { EngineStats, LoadProgress, Timings } from '../engine/spec.ts'
export { downloadModel, type Snapshot } from '../hub/download.ts'
export type { HubOptions, HubProgress } from '../hub/options.ts'
export { embeddedModel } from './embedded.ts'
export { load } from './load.ts'
export { planMemory } from './plan.ts'
export type {
  ChatMessage,
  ChatToolCall,
  FinishReason,
  GenerateOptions,
  Generation,
  LLM,
  LoadOptions,
  ModelInfo,
  Prompt,
  StreamEvent,
  Token,
  TokenSpan,
  Watermark,
} from './types.ts'
export { detectWatermark, detectWatermarkOf, type WatermarkEvidence } from './watermark.ts'
