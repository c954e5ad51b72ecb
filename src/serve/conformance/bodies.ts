import type { Case } from './cases.ts'

/** What is told of bodies that never reach a handler: plain text, on every route that reads JSON. */
const plain = 'text/plain; charset=utf-8'
const infer = '/v2/models/m/versions/1/infer'
const routes = [
  '/',
  '/generate',
  '/generate_stream',
  '/tokenize',
  '/chat_tokenize',
  '/v1/chat/completions',
  '/v1/completions',
  '/invocations',
  '/vertex',
  infer,
]

const parse = 'Failed to parse the request body as JSON: '
const shape = 'Failed to deserialize the JSON body into the target type: '

const everywhere: readonly (readonly [what: string, body: string, status: number, text: string | RegExp])[] = [
  ['nothing', '', 400, `${parse}EOF while parsing a value at line 1 column 0`],
  ['cut short', '{"a', 400, new RegExp(`^${parse}EOF while parsing a string at line 1 column 3`)],
  ['no JSON', '{a}', 400, new RegExp(`^${parse}key must be a string at line 1 column 2`)],
  ['a trailing comma', '{"a":1,}', 400, new RegExp(`^${parse}trailing comma at line 1 column 8`)],
]

const cut = (path: string): readonly Case[] =>
  everywhere.map(([what, body, status, text]) => ({
    what: `${path}: ${what}`,
    ask: { path, body },
    answer: { status, type: plain, text },
  }))

const mediaTypes = (path: string): readonly Case[] =>
  [null, 'text/plain', 'application/x-www-form-urlencoded'].map((type) => ({
    what: `${path}: ${type ?? 'no'} media type`,
    ask: { path, type, body: Buffer.from('{}').toString() },
    answer: { status: 415, type: plain, text: 'Expected request with `Content-Type: application/json`' },
  }))

const large = (path: string): Case => ({
  what: `${path}: over the limit`,
  ask: { path, body: `"${'x'.repeat(2_000_001)}"` },
  answer: { status: 413, type: plain, text: 'Failed to buffer the request body: length limit exceeded' },
})

const wrongShapes: readonly (readonly [path: string, body: unknown, reason: string])[] = [
  ['/generate', {}, 'missing field `inputs`'],
  ['/generate', { inputs: 1 }, 'inputs: invalid type: integer `1`, expected a string'],
  [
    '/generate',
    { inputs: 'x', parameters: null },
    'parameters: invalid type: null, expected struct GenerateParameters',
  ],
  [
    '/generate',
    { inputs: 'x', parameters: { top_k: 'x' } },
    'parameters.top_k: invalid type: string "x", expected i32',
  ],
  [
    '/generate',
    '{"inputs":"x","parameters":{"max_new_tokens":10.0}}',
    'parameters.max_new_tokens: invalid type: floating point `10.0`, expected u32',
  ],
  [
    '/generate',
    { inputs: 'x', parameters: { max_new_tokens: -1 } },
    'parameters.max_new_tokens: invalid value: integer `-1`, expected u32',
  ],
  [
    '/generate',
    { inputs: 'x', parameters: { do_sample: null } },
    'parameters.do_sample: invalid type: null, expected a boolean',
  ],
  [
    '/generate',
    { inputs: 'x', parameters: { stop: null } },
    'parameters.stop: invalid type: null, expected a sequence',
  ],
  ['/generate', '{"inputs":"x","inputs":"y"}', 'duplicate field `inputs`'],
  [
    '/generate',
    { inputs: 'x', parameters: { grammar: { type: 'text', value: 1 } } },
    'parameters.grammar.type: unknown variant `text`, expected one of `json`, `json_object`, `regex`, `json_schema`',
  ],
  ['/v1/chat/completions', {}, 'missing field `messages`'],
  [
    '/v1/chat/completions',
    { messages: [{ role: 'user' }] },
    'messages[0]: data did not match any variant of untagged enum MessageBody',
  ],
  ['/v1/chat/completions', '{"messages":[],"max_tokens":1,"max_tokens":1}', 'duplicate field `max_tokens`'],
  ['/v1/completions', {}, 'missing field `prompt`'],
  ['/invocations', { foo: 1 }, 'data did not match any variant of untagged enum SagemakerRequest'],
  ['/vertex', {}, 'missing field `instances`'],
]

const misshapen: readonly Case[] = wrongShapes.map(([path, body, reason]) => ({
  what: `${path}: ${reason}`,
  ask: { path, body },
  answer: {
    status: 422,
    type: plain,
    text: new RegExp(`^${shape}${reason.replaceAll(/[.[\]()*+?|\\^$]/g, '\\$&')} at line 1 column \\d+$`),
  },
}))

const greedy = { max_new_tokens: 1 }

const read: readonly Case[] = [
  ...['application/json; charset=utf-8', 'Application/JSON', 'application/ld+json'].map((type) => ({
    what: `a body of ${type}`,
    ask: { path: '/generate', type, body: { inputs: 'x', parameters: greedy } },
    answer: { status: 200 },
  })),
  {
    what: 'bytes after the value',
    ask: { path: '/generate', body: '{"inputs":"x","parameters":{"max_new_tokens":1}} trailing' },
    answer: { status: 200 },
  },
  {
    what: 'fields nobody knows',
    ask: { path: '/generate', body: { inputs: 'x', foo: [1, { a: null }], parameters: { ...greedy, bar: 1 } } },
    answer: { status: 200 },
  },
  {
    what: 'integers where floats are asked for',
    ask: { path: '/generate', body: { inputs: 'x', parameters: { ...greedy, temperature: 1, top_p: null } } },
    answer: { status: 200 },
  },
]

const kserve = (path: string): boolean => path === infer

export const bodyCases: readonly Case[] = [
  ...routes.flatMap((path) =>
    [...cut(path), ...mediaTypes(path), large(path)].map((c) => (kserve(path) ? { ...c, ours: true as const } : c)),
  ),
  ...misshapen,
  ...read,
]
