import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { GenerateParameters } from '../../wire/tgi.ts'
import { LiveServer } from '../testing/live-server.ts'

let live: LiveServer
before(async () => {
  live = await LiveServer.start()
})
after(() => live.close())

interface Broken {
  readonly inputs?: string
  readonly parameters?: Partial<Record<keyof GenerateParameters, unknown>>
}

const words = (count: number): string => Array(count).fill('a').join(' ')
const stops = ['a', 'b', 'c', 'd', 'e']

/** In the order they are checked: each request breaks one rule. */
const rules: readonly (readonly [request: Broken, reason: string])[] = [
  [{ parameters: { best_of: 3 } }, '`best_of` must be > 0 and <= 2. Given: 3'],
  [{ parameters: { best_of: 2 } }, 'you must use sampling when `best_of` is > 1'],
  [{ parameters: { temperature: -1 } }, '`temperature` must be strictly positive'],
  [{ parameters: { repetition_penalty: -1 } }, '`repetition_penalty` must be strictly positive'],
  [{ parameters: { frequency_penalty: 2.1 } }, '`frequency_penalty` must be >= -2.0 and <= 2.0'],
  [{ parameters: { top_p: 1.5 } }, '`top_p` must be > 0.0 and < 1.0'],
  [{ parameters: { typical_p: 0 } }, '`typical_p` must be > 0.0 and < 1.0'],
  [{ parameters: { top_k: 0 } }, '`top_k` must be strictly positive'],
  [{ parameters: { max_new_tokens: 0 } }, '`max_new_tokens` must be strictly positive'],
  [{ parameters: { stop: stops } }, '`stop` supports up to 4 stop sequences. Given: 5'],
  [{ parameters: { seed: 0, best_of: 2, do_sample: true } }, '`seed` must not be set when `best_of` > 1'],
  [{ parameters: { top_n_tokens: 6 } }, '`top_n_tokens` must be >= 0 and <= 5. Given: 6'],
  [{ inputs: '' }, '`inputs` cannot be empty'],
  [{ parameters: { truncate: 0 } }, '`truncate` must be strictly positive and less than 32. Given: 0'],
  [{ parameters: { grammar: { type: 'regex', value: 'a' } } }, '`grammar` is not supported yet'],
  [
    { inputs: words(40), parameters: { max_new_tokens: 25 } },
    '`inputs` tokens + `max_new_tokens` must be <= 64. Given: 40 `inputs` tokens and 25 `max_new_tokens`',
  ],
  [{ inputs: words(33) }, '`inputs` must have less than 32 tokens. Given: 33'],
]

const also: readonly (readonly [request: Broken, reason: string])[] = [
  [{ parameters: { grammar: { type: 'json', value: 5 } } }, 'grammar is not supported'],
  [
    { parameters: { grammar: { type: 'json', value: '{}' } } },
    "grammar is not valid: Grammar must have a 'properties' field",
  ],
  [
    { parameters: { grammar: { type: 'json_schema', value: { schema: { type: 'object' } } } } },
    "grammar is not valid: Grammar must have a 'properties' field",
  ],
  [{ parameters: { grammar: { type: 'json', value: '5' } } }, 'grammar is not valid: a schema is an object'],
  [{ parameters: { grammar: { type: 'json', value: { properties: {} } } } }, '`grammar` is not supported yet'],
  [{ parameters: { temperature: -0.5 } }, '`temperature` must be strictly positive'],
  [{ parameters: { frequency_penalty: -2.5 } }, '`frequency_penalty` must be >= -2.0 and <= 2.0'],
  [{ parameters: { top_p: 1.0000002 } }, '`top_p` must be > 0.0 and < 1.0'],
  [{ parameters: { top_p: -1 } }, '`top_p` must be > 0.0 and < 1.0'],
  [{ parameters: { top_k: -5 } }, '`top_k` must be strictly positive'],
  [{ parameters: { truncate: 33 } }, '`truncate` must be strictly positive and less than 32. Given: 33'],
]

async function refusal(request: Broken): Promise<string> {
  const response = await live.post('/generate', { inputs: 'x', ...request })
  const body = await response.text()
  assert.equal(response.status, 422, body)
  assert.equal(response.headers.get('content-type'), 'application/json')
  assert.match(body, /,"error_type":"validation"\}$/)
  return JSON.parse(body).error
}

test('each rule is told in the words clients know', async () => {
  for (const [request, reason] of [...rules, ...also]) {
    assert.equal(await refusal(request), `Input validation error: ${reason}`)
  }
})

test('of two broken rules the earlier one is told', async () => {
  for (const [i, [first, reason]] of rules.entries()) {
    for (const [second] of rules.slice(i + 1)) {
      const overlap = Object.keys(first.parameters ?? {}).some((key) => key in (second.parameters ?? {}))
      if (overlap || (first.inputs !== undefined && second.inputs !== undefined)) continue
      // Sampling is what rule 1 asks for, and these ask for it.
      if (i === 1 && /temperature|top_|typical|do_sample/.test(JSON.stringify(second))) continue
      const both = { ...second, ...first, parameters: { ...second.parameters, ...first.parameters } }
      assert.equal(await refusal(both), `Input validation error: ${reason}`, JSON.stringify(both))
    }
  }
})

test('bounds themselves are allowed', async () => {
  const parameters = {
    frequency_penalty: -2,
    stop: stops.slice(1),
    truncate: 32,
    top_n_tokens: 5,
    top_k: 1,
    best_of: 1,
    seed: 1,
  }
  assert.equal((await live.post('/generate', { inputs: 'x', parameters })).status, 200)
  assert.equal((await live.post('/generate', { inputs: words(40), parameters: { truncate: 32 } })).status, 200)
})

test('a server for one sequence says so', async () => {
  const single = await LiveServer.start({ maxBestOf: 1 })
  const body = JSON.parse(await single.text('/generate', { inputs: 'x', parameters: { best_of: 2 } }))
  assert.equal(body.error, 'Input validation error: `best_of` != 1 is not allowed for this endpoint')
  await single.close()
})

test('what a stream cannot do is an event of a stream', async () => {
  const refused: readonly (readonly [parameters: object, reason: string])[] = [
    [{ best_of: 0, decoder_input_details: true }, '`best_of` != 1 is not supported when streaming tokens'],
    [{ best_of: 2 }, '`best_of` != 1 is not supported when streaming tokens'],
    [{ decoder_input_details: true }, '`decoder_input_details` == true is not supported when streaming tokens'],
    [{ temperature: -1 }, '`temperature` must be strictly positive'],
  ]
  for (const [parameters, reason] of refused) {
    const response = await live.post('/generate_stream', { inputs: 'x', parameters })
    assert.equal(response.status, 200)
    assert.equal(
      await response.text(),
      `data: {"error":"Input validation error: ${reason}","error_type":"validation"}\n\n`,
    )
  }
})
