import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Type } from 'typebox'
import { describeOffset, MAX_JSON_DEPTH } from './json.ts'
import { oneOrMany, optional, u8, untagged } from './schema.ts'
import { CompatGenerateRequestSchema, GenerateRequestSchema } from './tgi.ts'
import { compile, compileReading, describeShape, JsonShapeError } from './validate.ts'

const readRequest = compile(GenerateRequestSchema)
const parameters = (json: string) => readRequest(`{"inputs":"x","parameters":${json}}`).parameters

function refusal(text: string, read: (text: string) => unknown = readRequest): string {
  try {
    read(text)
  } catch (error) {
    if (error instanceof JsonShapeError) return `${describeShape(error)} at ${describeOffset(text, error.offset)}`
    throw error
  }
  throw new Error(`accepted: ${text}`)
}

test('absent parameters sample, given ones are greedy unless they say', () => {
  assert.equal(readRequest('{"inputs":"x"}').parameters.do_sample, true)
  assert.equal(parameters('{}').do_sample, false)
  assert.deepEqual({ ...readRequest('{"inputs":"x"}').parameters, do_sample: false }, parameters('{}'))
  assert.deepEqual(parameters('{"temperature":null}'), parameters('{}'))
})

test('every parameter is read, integers for floats too, and floats as float32', () => {
  const read = parameters(
    '{"best_of":2,"temperature":1,"repetition_penalty":1.1,"frequency_penalty":-2,"top_k":3,"top_p":0.9,"typical_p":0.5,' +
      '"do_sample":true,"max_new_tokens":4294967295,"return_full_text":true,"stop":["a","b"],"truncate":7,"watermark":true,' +
      '"details":true,"decoder_input_details":true,"seed":18446744073709551615,"top_n_tokens":5,"adapter_id":"a",' +
      '"grammar":{"value":{"properties":{}},"type":"json"},"unknown":{"a":[1,{}],"a":2},"unknown":1}',
  )
  assert.deepEqual(read, {
    best_of: 2,
    temperature: 1,
    repetition_penalty: Math.fround(1.1),
    frequency_penalty: -2,
    top_k: 3,
    top_p: Math.fround(0.9),
    typical_p: 0.5,
    do_sample: true,
    max_new_tokens: 4294967295,
    return_full_text: true,
    stop: ['a', 'b'],
    truncate: 7,
    watermark: true,
    details: true,
    decoder_input_details: true,
    seed: 18446744073709551615n,
    top_n_tokens: 5,
    grammar: { type: 'json', value: { properties: {} } },
    adapter_id: 'a',
  })
})

const refusals: readonly (readonly [body: string, reason: string])[] = [
  ['{}', 'missing field `inputs` at line 1 column 2'],
  ['[]', 'invalid type: sequence, expected struct GenerateRequest at line 1 column 0'],
  ['null', 'invalid type: null, expected struct GenerateRequest at line 1 column 4'],
  ['{"inputs":null}', 'inputs: invalid type: null, expected a string at line 1 column 14'],
  ['{"inputs":1}', 'inputs: invalid type: integer `1`, expected a string at line 1 column 11'],
  ['{"inputs":"a","inputs":"b"}', 'duplicate field `inputs` at line 1 column 22'],
  [
    '{"inputs":"a","parameters":null}',
    'parameters: invalid type: null, expected struct GenerateParameters at line 1 column 31',
  ],
]

const parameterRefusals: readonly (readonly [body: string, reason: string])[] = [
  ['{"top_k":"x"}', 'parameters.top_k: invalid type: string "x", expected i32'],
  ['{"top_k":3000000000}', 'parameters.top_k: invalid value: integer `3000000000`, expected i32'],
  ['{"max_new_tokens":10.0}', 'parameters.max_new_tokens: invalid type: floating point `10.0`, expected u32'],
  ['{"max_new_tokens":-1}', 'parameters.max_new_tokens: invalid value: integer `-1`, expected u32'],
  ['{"max_new_tokens":-0}', 'parameters.max_new_tokens: invalid type: floating point `-0.0`, expected u32'],
  ['{"max_new_tokens":1e2}', 'parameters.max_new_tokens: invalid type: floating point `100.0`, expected u32'],
  ['{"max_new_tokens":true}', 'parameters.max_new_tokens: invalid type: boolean `true`, expected u32'],
  [
    '{"seed":18446744073709551616}',
    'parameters.seed: invalid type: floating point `1.8446744073709552e19`, expected u64',
  ],
  ['{"truncate":9007199254740992}', 'parameters.truncate: invalid value: integer `9007199254740992`, expected usize'],
  ['{"seed":-1}', 'parameters.seed: invalid value: integer `-1`, expected u64'],
  ['{"temperature":"hot"}', 'parameters.temperature: invalid type: string "hot", expected f32'],
  ['{"temperature":1e39}', 'parameters.temperature: invalid value: floating point `1e39`, expected f32'],
  ['{"do_sample":null}', 'parameters.do_sample: invalid type: null, expected a boolean'],
  ['{"details":1}', 'parameters.details: invalid type: integer `1`, expected a boolean'],
  ['{"stop":null}', 'parameters.stop: invalid type: null, expected a sequence'],
  ['{"stop":1}', 'parameters.stop: invalid type: integer `1`, expected a sequence'],
  ['{"stop":["a",{}]}', 'parameters.stop[1]: invalid type: map, expected a string'],
  ['{"top_k":1,"top_k":1}', 'parameters: duplicate field `top_k`'],
  ['{"grammar":"x"}', 'parameters.grammar: invalid type: string "x", expected adjacently tagged enum GrammarType'],
  ['{"grammar":{"value":1}}', 'parameters.grammar: missing field `type`'],
  ['{"grammar":{"type":"regex"}}', 'parameters.grammar: missing field `value`'],
  ['{"grammar":{"type":"regex","value":1}}', 'parameters.grammar.value: invalid type: integer `1`, expected a string'],
  [
    '{"grammar":{"type":1,"value":1}}',
    'parameters.grammar.type: invalid type: integer `1`, expected variant of enum GrammarType',
  ],
  [
    '{"grammar":{"type":"text","value":1}}',
    'parameters.grammar.type: unknown variant `text`, expected one of `json`, `json_object`, `regex`, `json_schema`',
  ],
  ['{"adapter_id":3}', 'parameters.adapter_id: invalid type: integer `3`, expected a string'],
]

test('a body of the wrong shape is named with path, reason and place', () => {
  for (const [body, reason] of refusals) assert.equal(refusal(body), reason)
})

test('a parameter of the wrong type is named with path and reason', () => {
  for (const [body, reason] of parameterRefusals) {
    assert.equal(refusal(`{"inputs":"x","parameters":${body}}`).replace(/ at line .*/, ''), reason)
  }
})

test('only the compatible route looks at stream', () => {
  const read = compile(CompatGenerateRequestSchema)
  assert.equal(read('{"inputs":"x"}').stream, false)
  assert.equal(read('{"inputs":"x","stream":true}').stream, true)
  assert.equal(
    refusal('{"inputs":"x","stream":1}', read).replace(/ at .*/, ''),
    'stream: invalid type: integer `1`, expected a boolean',
  )
  assert.equal(readRequest('{"inputs":"x","stream":1}').inputs, 'x')
})

const Pair = Type.Object({ a: Type.String(), b: optional(Type.Boolean(), false) }, { title: 'Pair' })
const Either = untagged([Pair, Type.Array(u8()), Type.String()], { title: 'Either' })
const readEither = compileReading(Type.Object({ value: Either }, { title: 'Holder' }))

test('the first shape that fits is read, and what it does not know is told', () => {
  assert.deepEqual(readEither('{"value":{"a":"x","c":1},"d":2,"e":null}'), {
    value: { value: { a: 'x', b: false } },
    ignored: ['value.c', 'd'],
  })
  assert.deepEqual(readEither('{"value":[1,255]}').value, { value: [1, 255] })
  assert.deepEqual(readEither('{"value":"x"}'), { value: { value: 'x' }, ignored: [] })
})

test('a value that fits no shape is told by the name of them all, or by the one that got furthest', () => {
  const none = 'data did not match any variant of untagged enum Either'
  assert.equal(refusal('{"value":{"b":true}}', readEither), `value: ${none} at line 1 column 19`)
  const readNameless = compile(Type.Object({ value: untagged([Type.String(), Type.Array(u8())]) }, { title: 'Holder' }))
  assert.equal(
    refusal('{"value":[1,256]}', readNameless),
    'value[1]: invalid value: integer `256`, expected u8 at line 1 column 15',
  )
  assert.equal(
    refusal('{"value":5}', readNameless),
    'value: invalid type: integer `5`, expected a string at line 1 column 10',
  )
})

test('a shape left half-read does not count towards the depth of what follows', () => {
  const items = Type.Object(
    { items: Type.Array(untagged([Type.Array(Type.Array(u8())), Type.String()])) },
    { title: 'Deep' },
  )
  const text = `{"items":[${'"x",'.repeat(MAX_JSON_DEPTH)}${'[[1],[2]],'.repeat(MAX_JSON_DEPTH)}"y"]}`
  assert.equal(compile(items)(text).items.length, 2 * MAX_JSON_DEPTH + 1)
  const wrong = compile(
    Type.Object(
      { items: Type.Array(untagged([Type.Array(Type.Array(u8())), Type.Array(Type.Array(Type.String()))])) },
      { title: 'Deep' },
    ),
  )
  assert.equal(wrong(`{"items":[${'[["a"]],'.repeat(MAX_JSON_DEPTH)}[["b"]]]}`).items.length, MAX_JSON_DEPTH + 1)
})

test('a bare value is a list of one where one is taken', () => {
  const read = compile(Type.Object({ stop: oneOrMany<string>(Type.String()) }, { title: 'Stops' }))
  assert.deepEqual(read('{"stop":"a"}').stop, ['a'])
  assert.deepEqual(read('{"stop":["a","b"]}').stop, ['a', 'b'])
})

test('any JSON is read or refused, never anything else', () => {
  const read = compileReading(Either)
  fc.assert(
    fc.property(fc.json(), (text) => {
      try {
        read(text)
      } catch (error) {
        assert.ok(error instanceof JsonShapeError, String(error))
      }
    }),
  )
})
