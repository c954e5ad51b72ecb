/** Deepest nesting of arrays and objects that is read. */
export const MAX_JSON_DEPTH = 128

export type JsonKind = 'null' | 'boolean' | 'number' | 'string' | 'array' | 'object'

export interface JsonMark {
  readonly offset: number
  readonly depth: number
}

/** Text that is not JSON. `offset` counts the UTF-16 units read when it was noticed. */
export class JsonSyntaxError extends Error {
  readonly offset: number

  constructor(reason: string, offset: number) {
    super(reason)
    this.name = 'JsonSyntaxError'
    this.offset = offset
  }
}

const plainRun = /[^"\\\u0000-\u001f]*/y
const numberToken = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
const whitespace = /[ \t\r\n]*/y
const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}
const kinds: Readonly<Record<string, JsonKind>> = {
  n: 'null',
  t: 'boolean',
  f: 'boolean',
  '"': 'string',
  '[': 'array',
  '{': 'object',
  '-': 'number',
}

/**
 * Reads one JSON value piece by piece, as its caller asks for it (RFC 8259). `JSON.parse` would do but for three
 * things the protocol needs: numbers keep their source text (a seed is a full unsigned 64-bit integer, and `10.0` is
 * not an integer), an object's keys come in order and as often as they were written, and errors know where they are.
 * Text after the value is not looked at. Throws `JsonSyntaxError`, in the words of the reference server's parser.
 */
export class JsonReader {
  readonly text: string
  #at = 0
  #depth = 0

  constructor(text: string) {
    this.text = text
  }

  /** UTF-16 units read so far; what `seek` takes. */
  get offset(): number {
    return this.#at
  }

  /** Goes back to a value that was skipped. */
  seek(offset: number): void {
    this.#at = offset
  }

  /** Where reading stands; what `rewind` takes. */
  mark(): JsonMark {
    return { offset: this.#at, depth: this.#depth }
  }

  /** Goes back, also out of a value that was left half-read. */
  rewind(mark: JsonMark): void {
    this.#at = mark.offset
    this.#depth = mark.depth
  }

  /** What comes next, without reading it. */
  kind(): JsonKind {
    const char = this.#peek('a value')
    const kind = kinds[char] ?? (char >= '0' && char <= '9' ? 'number' : undefined)
    return kind ?? this.#fail('expected value', 1)
  }

  null(): null {
    this.#word('null')
    return null
  }

  boolean(): boolean {
    const value = this.#peek('a value') === 't'
    this.#word(value ? 'true' : 'false')
    return value
  }

  /** The number as it is written. */
  number(): string {
    this.#peek('a value')
    const token = this.#match(numberToken)
    const next = this.text[this.#at]
    // What continues a number but not a valid one: `01`, `1.`, `2e`, and the bare `-`, which matches as "".
    if (token !== '' && (next === undefined || !/[0-9.eE]/.test(next))) return token
    if (token === '') this.#at++
    else if (next === '.' || next === 'e' || next === 'E') this.#at++
    if (this.#at >= this.text.length) this.#fail('EOF while parsing a value')
    return this.#fail('invalid number', 1)
  }

  string(): string {
    this.#peek('a value')
    this.#at++
    let value = ''
    for (;;) {
      value += this.#match(plainRun)
      const char = this.text[this.#at]
      if (char === undefined) this.#fail('EOF while parsing a string')
      this.#at++
      if (char === '"') return value
      if (char !== '\\') this.#fail('control character (\\u0000-\\u001F) found while parsing a string')
      value += this.#escape()
    }
  }

  /** Calls `onItem` with each index; it must read exactly one value. */
  array(onItem: (index: number) => void): void {
    this.#enter()
    for (let index = 0; !this.#closes(']', index); index++) onItem(index)
    this.#depth--
  }

  /** Calls `onMember` with each key, repeated ones too; it must read the member's value with `value`. */
  object(onMember: (key: string) => void): void {
    this.#enter()
    for (let index = 0; !this.#closes('}', index); index++) {
      if (this.#peek('an object') !== '"') this.#fail('key must be a string', 1)
      onMember(this.string())
    }
    this.#depth--
  }

  /** Reads the colon between a key and its value. */
  colon(): void {
    if (this.#peek('an object') !== ':') this.#fail('expected `:`', 1)
    this.#at++
  }

  /** Reads a value and forgets it. */
  skip(): void {
    const kind = this.kind()
    if (kind === 'array') this.array(() => this.skip())
    else if (kind === 'object') this.object(() => this.#skipMember())
    else this[kind]()
  }

  #skipMember(): void {
    this.colon()
    this.skip()
  }

  /** Reads a value whole, as `JSON.parse` would (the last of repeated keys wins; numbers become doubles). */
  value(): unknown {
    const kind = this.kind()
    if (kind === 'number') return this.double(this.number())
    if (kind === 'array') {
      const items: unknown[] = []
      this.array(() => items.push(this.value()))
      return items
    }
    if (kind !== 'object') return this[kind]()
    const members: [string, unknown][] = []
    this.object((key) => {
      this.colon()
      members.push([key, this.value()])
    })
    return Object.fromEntries(members)
  }

  /** The double a number token stands for. */
  double(token: string): number {
    const value = Number(token)
    return Number.isFinite(value) ? value : this.#fail('number out of range')
  }

  #fail(reason: string, extra = 0): never {
    throw new JsonSyntaxError(reason, Math.min(this.#at + extra, this.text.length))
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const [found] = pattern.exec(this.text) ?? ['']
    this.#at += found.length
    return found
  }

  /** The next character that is not white space; the end of the text inside `what` is an error. */
  #peek(what: string): string {
    const char = this.text[this.#at]
    if (char !== undefined && char > ' ') return char
    this.#match(whitespace)
    return this.text[this.#at] ?? this.#fail(`EOF while parsing ${what}`)
  }

  #word(word: string): void {
    this.#peek('a value')
    for (const char of word) {
      const found = this.text[this.#at]
      if (found === undefined) this.#fail('EOF while parsing a value')
      this.#at++
      if (found !== char) this.#fail('expected ident')
    }
  }

  #enter(): void {
    this.#peek('a value')
    if (++this.#depth > MAX_JSON_DEPTH) this.#fail('recursion limit exceeded', 1)
    this.#at++
  }

  /** Reads what stands before member `index`: the closing bracket (true), or the comma if it is not the first. */
  #closes(close: ']' | '}', index: number): boolean {
    const what = close === ']' ? 'a list' : 'an object'
    const char = this.#peek(what)
    if (char === close) {
      this.#at++
      return true
    }
    if (index === 0) return false
    if (char !== ',') this.#fail(`expected \`,\` or \`${close}\``, 1)
    this.#at++
    if (this.#peek(close === ']' ? 'a value' : what) === close) this.#fail('trailing comma', 1)
    return false
  }

  #escape(): string {
    const char = this.text[this.#at] ?? this.#fail('EOF while parsing a string')
    this.#at++
    if (char !== 'u') return escapes[char] ?? this.#fail('invalid escape')
    const unit = this.#hex()
    if (unit < 0xd800 || unit > 0xdfff) return String.fromCharCode(unit)
    if (unit > 0xdbff) this.#fail('lone leading surrogate in hex escape')
    if (this.text.slice(this.#at, this.#at + 2) !== '\\u') this.#fail('unexpected end of hex escape', 1)
    this.#at += 2
    const low = this.#hex()
    if (low < 0xdc00 || low > 0xdfff) this.#fail('lone leading surrogate in hex escape')
    return String.fromCharCode(unit, low)
  }

  #hex(): number {
    const digits = this.text.slice(this.#at, this.#at + 4)
    if (digits.length < 4) {
      this.#at = this.text.length
      this.#fail('EOF while parsing a string')
    }
    this.#at += 4
    return /^[0-9a-fA-F]{4}$/.test(digits) ? Number.parseInt(digits, 16) : this.#fail('invalid escape')
  }
}

/** `line L column C` of an offset: lines from 1, columns in UTF-8 bytes read on that line. */
export function describeOffset(text: string, offset: number): string {
  const before = text.slice(0, offset)
  const start = before.lastIndexOf('\n') + 1
  const line = before.split('\n').length
  return `line ${line} column ${Buffer.byteLength(before.slice(start))}`
}
