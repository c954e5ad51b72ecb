import { Environment, Interpreter, Template } from '@huggingface/jinja'

/** Longest text a template may make, in UTF-16 code units: far beyond any prompt, far below what a process can hold. */
export const MAX_RENDERED_LENGTH = 1 << 24
/**
 * Most expressions, statements and loop items one rendering may take (half a microsecond each): so many, and for each
 * message so many more, twice what the longest templates need.
 */
export const MAX_RENDER_STEPS = 100_000
export const MAX_MESSAGE_STEPS = 150
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
  evaluate(node: unknown, scope: EngineScope): RuntimeValue
  run(program: unknown): RuntimeValue
}
const Scope = Environment as unknown as new () => EngineScope
const EngineInterpreter = Interpreter as unknown as new (scope: EngineScope) => EngineInterpreter

/** Nodes of a parsed template, as far as they matter here. */
interface Node {
  readonly type: string
  readonly iterable?: Node
  readonly lhs?: Node
}

/** What a `for` goes over; a filtering `for x in y if z` has it one level down. */
const iterableOf = ({ iterable }: Node): Node | undefined =>
  iterable?.type === 'SelectExpression' ? iterable.lhs : iterable

function sizeOf({ value }: RuntimeValue): number {
  return Array.isArray(value) ? value.length : value instanceof Map ? value.size : 0
}

/** The engine's interpreter with a budget: a template that loops or doubles a string ends in an error, not in a dead process. */
class BoundedInterpreter extends EngineInterpreter {
  /** Lists that are gone through: each item is a step, for the body of a loop may be empty. */
  readonly #iterables = new Set<Node>()
  readonly #budget: number
  #steps = 0

  constructor(scope: EngineScope, budget: number) {
    super(scope)
    this.#budget = budget
  }

  override evaluate(node: Node, scope: EngineScope): RuntimeValue {
    const iterable = node?.type === 'For' ? iterableOf(node) : undefined
    if (iterable) this.#iterables.add(iterable)
    const result = super.evaluate(node, scope)
    this.#steps += this.#iterables.has(node) ? 1 + sizeOf(result) : 1
    if (this.#steps > this.#budget) throw new LimitError('the template does not come to an end')
    if (result.type === 'StringValue') checkLength(result.value as string)
    return result
  }
}

function checkLength(text: string): void {
  if (text.length <= MAX_RENDERED_LENGTH) return
  throw new LimitError(`the template makes more than ${MAX_RENDERED_LENGTH} characters`)
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
    const { messages } = variables
    const budget = MAX_RENDER_STEPS + MAX_MESSAGE_STEPS * (Array.isArray(messages) ? messages.length : 0)
    const text = new BoundedInterpreter(scope, budget).run(parsed).toString()
    checkLength(text)
    return text
  }
}
