import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { describeOffset, JsonReader, JsonSyntaxError, MAX_JSON_DEPTH } from './json.ts'

const read = (text: string): unknown => new JsonReader(text).value()

/** JSON.parse differs on purpose: it takes half of a surrogate pair and numbers beyond a double. */
const comparable = (text: string): boolean => !/\\u[dD][89a-fA-F]/.test(text)

test('values read as JSON.parse reads them, however they are spaced', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(0, 1, '\t', ' \n '), (value, space) => {
      const text = JSON.stringify(value, null, space)
      if (comparable(text)) assert.deepEqual(read(text), JSON.parse(text))
    }),
    { numRuns: 500 },
  )
})

test('text with one character changed is refused when JSON.parse refuses it, and reads the same when not', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.nat(), fc.constantFrom(...'{}[]",:\\ux0189.-+eE tn\n\u0001'), (value, at, char) => {
      const whole = JSON.stringify(value)
      const index = at % whole.length
      const text = whole.slice(0, index) + char + whole.slice(index + 1)
      if (!comparable(text)) return
      const ours = new JsonReader(text)
      const result = attempt(() => ours.value())
      // What follows the value is not ours to read.
      const expected = attempt(() => JSON.parse(text.slice(0, result.error ? undefined : ours.offset)))
      if (/[eE]\+?\d{3}/.test(text)) return
      assert.equal(result.error === undefined, expected.error === undefined, text)
      assert.deepEqual(result.value, expected.value)
    }),
    { numRuns: 2000 },
  )
})

function attempt(run: () => unknown): { value?: unknown; error?: unknown } {
  try {
    return { value: run() }
  } catch (error) {
    return { error }
  }
}

const refused: readonly (readonly [text: string, reason: string])[] = [
  ['', 'EOF while parsing a value at line 1 column 0'],
  ['  ', 'EOF while parsing a value at line 1 column 2'],
  ['{', 'EOF while parsing an object at line 1 column 1'],
  ['{"a"', 'EOF while parsing an object at line 1 column 4'],
  ['{"a":', 'EOF while parsing a value at line 1 column 5'],
  ['{"a":1', 'EOF while parsing an object at line 1 column 6'],
  ['[1', 'EOF while parsing a list at line 1 column 2'],
  ['[1,', 'EOF while parsing a value at line 1 column 3'],
  ['"ab', 'EOF while parsing a string at line 1 column 3'],
  ['{a:1}', 'key must be a string at line 1 column 2'],
  ['{"a" 1}', 'expected `:` at line 1 column 6'],
  ['[1 2]', 'expected `,` or `]` at line 1 column 4'],
  ['{"a":1 "b":2}', 'expected `,` or `}` at line 1 column 8'],
  ['[1,]', 'trailing comma at line 1 column 4'],
  ['{"a":1,}', 'trailing comma at line 1 column 8'],
  ['\n\n  @', 'expected value at line 3 column 3'],
  ['nul', 'EOF while parsing a value at line 1 column 3'],
  ['nulL', 'expected ident at line 1 column 4'],
  ['01', 'invalid number at line 1 column 2'],
  ['1.x', 'invalid number at line 1 column 3'],
  ['-', 'EOF while parsing a value at line 1 column 1'],
  ['1e999', 'number out of range at line 1 column 5'],
  ['"é\n"', 'control character (\\u0000-\\u001F) found while parsing a string at line 2 column 0'],
  ['"\\x"', 'invalid escape at line 1 column 3'],
  ['"\\ud800"', 'unexpected end of hex escape at line 1 column 8'],
  ['"\\udc00"', 'lone leading surrogate in hex escape at line 1 column 7'],
  ['['.repeat(MAX_JSON_DEPTH + 1), 'recursion limit exceeded at line 1 column 129'],
]

test('what is not JSON is named, with line and column in bytes', () => {
  for (const [text, expected] of refused) {
    const { error } = attempt(() => read(text))
    assert.ok(error instanceof JsonSyntaxError, text)
    assert.equal(`${error.message} at ${describeOffset(text, error.offset)}`, expected, text)
  }
})

test('a number keeps its text, escapes become characters, what follows is left alone', () => {
  assert.equal(new JsonReader('18446744073709551615').number(), '18446744073709551615')
  assert.equal(new JsonReader(' 10.0 ').number(), '10.0')
  assert.equal(read('"\\ud83d\\ude00\\u00e9\\/\\n"'), '😀é/\n')
  assert.deepEqual(read('{"__proto__":{"x":1}} trailing'), JSON.parse('{"__proto__":{"x":1}}'))
})

test('nesting up to the limit is read', () => {
  const text = '['.repeat(MAX_JSON_DEPTH) + ']'.repeat(MAX_JSON_DEPTH)
  assert.deepEqual(read(text), JSON.parse(text))
})
