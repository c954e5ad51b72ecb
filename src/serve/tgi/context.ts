import type { LLM } from '../../library/types.ts'
import type { Admission } from '../admission.ts'
import type { ServeSettings } from '../options.ts'
import type { Observer } from '../outcome.ts'
import type { Limits } from './validation.ts'

/** What a handler works with. */
export interface Context {
  readonly llm: LLM
  readonly settings: ServeSettings
  readonly limits: Limits
  readonly admission: Admission
  readonly observer: Observer
}
