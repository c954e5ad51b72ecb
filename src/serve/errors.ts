import { type ErrorCode, errorData, LoquentError } from '../base/errors.ts'
import type { ErrorResponse } from '../wire/tgi.ts'
import { Refusal } from './refusal.ts'

interface Rule {
  readonly status: number
  readonly type: string
  /** Stands before the error's own sentence; a rule with `text` has no use for that sentence. */
  readonly prefix?: string
  readonly text?: string
}

const generation: Rule = { status: 424, type: 'generation', prefix: 'Request failed during generation: ' }
const template: Rule = { status: 422, type: 'template_error', prefix: 'Template error: ' }

/** How each error is told to a client; what is not named here failed during generation. */
const rules: Partial<Record<ErrorCode, Rule>> = {
  'request.invalid': { status: 422, type: 'validation', prefix: 'Input validation error: ' },
  'request.aborted': { status: 500, type: 'incomplete_generation', text: 'Incomplete generation' },
  'template.missing': template,
  'template.failed': template,
  'engine.overloaded': { status: 429, type: 'overloaded' },
}

export interface ErrorAnswer {
  readonly status: number
  readonly body: ErrorResponse
}

/** Status and body of a failed request; anything thrown that is not ours counts as a failure of the engine. */
export function answerOf(error: unknown): ErrorAnswer {
  if (error instanceof Refusal) return { status: error.status, body: { error: error.message, error_type: error.type } }
  const { code, facts } = errorData(error)
  const { status, type, prefix = '', text } = rules[code] ?? generation
  return { status, body: { error: text ?? prefix + new LoquentError(code, facts).message, error_type: type } }
}

/** The same inside a stream, where only the body can be told. */
export function streamErrorOf(error: unknown): ErrorResponse {
  const { body } = answerOf(error)
  if (body.error_type !== 'incomplete_generation') return body
  return { error: 'Incomplete generation stream', error_type: 'incomplete_generation_stream' }
}

export const unhealthy: ErrorAnswer = { status: 503, body: { error: 'unhealthy', error_type: 'healthcheck' } }
