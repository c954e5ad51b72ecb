/** A request that failed; the classes are those of the Python package `text-generation`. */
export class TextGenerationError extends Error {
  /** Of the HTTP answer; absent where there was none. In a stream, what an error event says. */
  readonly status: number | undefined
  /** `error_type` of the answer. */
  readonly type: string | undefined

  constructor(message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause })
    this.name = new.target.name
    this.status = facts.status
    this.type = facts.type
  }
}

export interface ErrorFacts {
  readonly status?: number
  readonly type?: string
  readonly cause?: unknown
}

/** What was asked is not valid. */
export class ValidationError extends TextGenerationError {}
/** The generation failed on the server. */
export class GenerationError extends TextGenerationError {}
/** The server has no room for another request. */
export class OverloadedError extends TextGenerationError {}
/** The generation, or its stream, ended before its end. */
export class IncompleteGenerationError extends TextGenerationError {}
export class BadRequestError extends TextGenerationError {}
export class ShardNotReadyError extends TextGenerationError {}
export class ShardTimeoutError extends TextGenerationError {}
export class NotFoundError extends TextGenerationError {}
export class RateLimitExceededError extends TextGenerationError {}
export class UnknownError extends TextGenerationError {}
/** No answer: nobody listens, the connection was cut, a name has no address. */
export class ConnectionError extends TextGenerationError {}

type ErrorClass = new (message: string, facts: ErrorFacts) => TextGenerationError

const byType: Readonly<Record<string, ErrorClass>> = {
  generation: GenerationError,
  incomplete_generation: IncompleteGenerationError,
  incomplete_generation_stream: IncompleteGenerationError,
  overloaded: OverloadedError,
  validation: ValidationError,
}

const byStatus: Readonly<Record<number, ErrorClass>> = {
  400: BadRequestError,
  403: ShardNotReadyError,
  404: NotFoundError,
  424: ShardNotReadyError,
  429: RateLimitExceededError,
  504: ShardTimeoutError,
}

/** The error that a body tells, by its `error_type`, and otherwise by the status. */
export function errorOf(status: number, body: unknown): TextGenerationError {
  const { message, type, code } = read(body)
  const Class =
    (Object.hasOwn(byType, type ?? '') ? byType[type!] : undefined) ?? byStatus[code ?? status] ?? UnknownError
  return new Class(message ?? `the server answered ${status}`, {
    status: code ?? status,
    ...(type !== undefined && { type }),
  })
}

interface Told {
  readonly message?: string
  readonly type?: string
  readonly code?: number
}

/** `{error, error_type}`, `{error: {message, http_status_code}}`, or a text. */
function read(body: unknown): Told {
  if (typeof body === 'string') return body === '' ? {} : { message: body }
  const { error, error_type: type } = (body ?? {}) as { error?: unknown; error_type?: unknown }
  const typed = typeof type === 'string' ? { type } : {}
  if (typeof error === 'string') return { message: error, ...typed }
  const { message, http_status_code: code } = (error ?? {}) as { message?: unknown; http_status_code?: unknown }
  return { ...(typeof message === 'string' && { message }), ...(typeof code === 'number' && { code }), ...typed }
}
