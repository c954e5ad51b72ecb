/** Facts that an error message is made from; always plain data, so that an error crosses threads whole. */
export type Facts = Readonly<Record<string, string | number | boolean | null>>

/** Every error Loquent raises on purpose: code, and the sentence a person reads. Only `serve` knows status codes. */
const table = {
  'weights.malformed': (f: Facts) =>
    `${f['file']}: ${f['reason']}${f['tensor'] ? ` (tensor ${f['tensor']})` : ''}${f['offset'] != null ? ` at byte ${f['offset']}` : ''}`,
  'weights.missing': (f: Facts) => `${f['where']}: ${f['what']}`,
  'weights.format': (f: Facts) =>
    `${f['file']}: tensor ${f['tensor']} is stored as ${f['format']}, which is not supported`,
  'model.architecture': (f: Facts) => `unknown architecture ${f['name']}; supported: ${f['supported']}`,
  'model.config': (f: Facts) => `model configuration: ${f['reason']}`,
  'model.not_found': (f: Facts) => `no model at ${f['path']}: ${f['reason']}`,
  'tokenizer.unsupported': (f: Facts) => `tokenizer: ${f['reason']}`,
  'template.missing': () => 'template not found',
  'template.failed': (f: Facts) => `${f['reason']}`,
  'request.invalid': (f: Facts) => `${f['reason']}`,
  'request.aborted': () => 'the request was cancelled',
  'request.expired': () => 'the time allowed for the request was over before its next token',
  'engine.overloaded': () => 'Model is overloaded',
  'engine.memory': (f: Facts) => `not enough memory: ${f['reason']}`,
  'engine.row_failed': (f: Facts) => `generation failed: ${f['reason']}`,
  'engine.crashed': (f: Facts) =>
    `generation failed: the engine died twice while it ran this request alone (${f['reason']})`,
  'engine.stopped': (f: Facts) => `the engine has stopped: ${f['reason']}`,
  'backend.unavailable': (f: Facts) => `${f['reason']}`,
  'backend.failed': (f: Facts) => `${f['reason']}`,
  'option.invalid': (f: Facts) => `${f['name']}: ${f['reason']}`,
  'hub.denied': (f: Facts) => `no access to ${f['model']}: ${f['reason']}`,
  'hub.not_found': (f: Facts) => `${f['model']}: ${f['reason']}`,
  'hub.rate_limited': (f: Facts) =>
    `${f['url']} limits our requests${f['seconds'] == null ? '' : `; try again in ${f['seconds']} s`}`,
  'hub.unreachable': (f: Facts) => `cannot reach ${f['url']}: ${f['reason']}`,
  'hub.offline': (f: Facts) =>
    `${f['model']} is not in the cache, or not all of it, and offline mode is on: ${f['reason']}`,
  'hub.damaged': (f: Facts) => `${f['file']}: ${f['reason']}`,
  'hub.disk': (f: Facts) => `cannot write ${f['path']}: ${f['reason']}`,
  'hub.failed': (f: Facts) => `${f['url']}: ${f['reason']}`,
} satisfies Record<string, (facts: Facts) => string>

export type ErrorCode = keyof typeof table

/** An error with a code from the table above and the facts its message was made from. */
export class LoquentError extends Error {
  readonly code: ErrorCode
  readonly facts: Facts

  constructor(code: ErrorCode, facts: Facts = {}, options?: ErrorOptions) {
    super(table[code](facts), options)
    this.name = 'LoquentError'
    this.code = code
    this.facts = facts
  }
}

/** Throws the error `code`; reads well in an expression position (`x ?? fail(...)`). */
export function fail(code: ErrorCode, facts: Facts = {}, cause?: unknown): never {
  throw new LoquentError(code, facts, cause === undefined ? undefined : { cause })
}

/** Plain data of an error, to cross a thread or process; `reviveError` is its inverse. */
export interface ErrorData {
  readonly code: ErrorCode
  readonly facts: Facts
}

/** Reduces any thrown thing to plain data; what is not ours becomes `fallback` with its message as the reason. */
export function errorData(error: unknown, fallback: ErrorCode = 'backend.failed'): ErrorData {
  if (error instanceof LoquentError) return { code: error.code, facts: error.facts }
  return { code: fallback, facts: { reason: error instanceof Error ? error.message : String(error) } }
}

export const reviveError = (data: ErrorData): LoquentError => new LoquentError(data.code, data.facts)
