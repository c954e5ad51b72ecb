import { Environment, Interpreter, Template } from '@huggingface/jinja'

/** Longest text a template may make, in UTF-16 code units: far beyond any prompt, far below what a process can hold. */
export const MAX_RENDERED_LENGTH = 1 << 24
/** Most expressions and statements one rendering may evaluate (about a second). */
export const MAX_RENDER_STEPS = 1_000_000
/** Longest list `range` may make. */
const MAX_RANGE = 1 << 16

export class LimitError extends Error {}

// The engine's own declarations import without extensions and so say nothing under nodenext; this is the part used here.
interface RuntimeValue {
  readonly type: string
  readonly value: unknown
  toString(): string
}
interface EngineScope {
  set(name: string, value: unknown): unknown
}
interface EngineInterpreter {
  evaluate(statement: unknown, scope: EngineScope): RuntimeValue
  run(program: unknown): RuntimeValue
}
const Scope = Environment as unknown as new () => EngineScope
const EngineInterpreter = Interpreter as unknown as new (scope: EngineScope) => EngineInterpreter

/** The engine's interpreter with a budget: a template that loops or doubles a string ends in an error, not in a dead process. */
class BoundedInterpreter extends EngineInterpreter {
  #steps = 0

  override evaluate(statement: unknown, scope: EngineScope): RuntimeValue {
    if (++this.#steps > MAX_RENDER_STEPS) throw new LimitError('the template does not come to an end')
    const result = super.evaluate(statement, scope)
    if (result.type === 'StringValue' && (result.value as string).length > MAX_RENDERED_LENGTH) {
      throw new LimitError(`the template makes more than ${MAX_RENDERED_LENGTH} characters`)
    }
    return result
  }
}

function range(start: number, stop?: number, step = 1): number[] {
  if (typeof stop !== 'number') return range(0, start, step)
  if (step === 0) throw new Error('range() step must not be zero')
  const length = Math.max(0, Math.ceil((stop - start) / step))
  if (!(length <= MAX_RANGE)) throw new LimitError(`range() of ${length} items`)
  return Array.from({ length }, (_, i) => start + i * step)
}

const MONTHS = 'January February March April May June July August September October November December'.split(' ')
const DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ')
const two = (value: number): string => String(value).padStart(2, '0')

/** Python's strftime, local time, English names whatever the machine's language is. */
const DATE_FIELDS: Readonly<Record<string, (date: Date) => string>> = {
  '%Y': (d) => String(d.getFullYear()),
  '%y': (d) => two(d.getFullYear() % 100),
  '%m': (d) => two(d.getMonth() + 1),
  '%d': (d) => two(d.getDate()),
  '%b': (d) => MONTHS[d.getMonth()]!.slice(0, 3),
  '%B': (d) => MONTHS[d.getMonth()]!,
  '%a': (d) => DAYS[d.getDay()]!.slice(0, 3),
  '%A': (d) => DAYS[d.getDay()]!,
  '%H': (d) => two(d.getHours()),
  '%I': (d) => two(d.getHours() % 12 || 12),
  '%p': (d) => (d.getHours() < 12 ? 'AM' : 'PM'),
  '%M': (d) => two(d.getMinutes()),
  '%S': (d) => two(d.getSeconds()),
  '%F': (d) => `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`,
  '%T': (d) => `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`,
  '%%': () => '%',
}

export const strftime = (date: Date, format: string): string =>
  format.replace(/%./g, (field) => DATE_FIELDS[field]?.(date) ?? field)

function raise(message: unknown): never {
  throw new Error(String(message))
}

const GLOBALS: Readonly<Record<string, unknown>> = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
  range,
  raise_exception: raise,
  strftime_now: (format: string) => strftime(new Date(), format),
}

/** Compiles a Jinja template; the result renders it over variables. Both throw plain errors. */
export function compileJinja(source: string): (variables: Readonly<Record<string, unknown>>) => string {
  const { parsed } = new Template(source)
  return (variables) => {
    const scope = new Scope()
    for (const [name, value] of Object.entries({ ...GLOBALS, ...variables })) scope.set(name, value)
    const text = new BoundedInterpreter(scope).run(parsed).toString()
    if (text.length > MAX_RENDERED_LENGTH) {
      throw new LimitError(`the template makes more than ${MAX_RENDERED_LENGTH} characters`)
    }
    return text
  }
}
