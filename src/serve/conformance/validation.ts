import type { Case, Facts } from './cases.ts'

/**
 * What is checked of a request, in the order it is checked, and the words it is refused in. Native routes say it as an error
 * object, streams as their only event, OpenAI's streams in a form of their own.
 */
type Row = readonly [parameters: Readonly<Record<string, unknown>>, detail: string | RegExp, inputs?: string]

const prefix = 'Input validation error: '

const escaped = (text: string): string => text.replaceAll(/[.[\]()*+?|\\^$]/g, '\\$&')

const detailOf = (detail: string | RegExp): string => (typeof detail === 'string' ? escaped(detail) : detail.source)

/** Rules in their order; each row breaks its own rule and no earlier one. */
function rules({ info, prompts }: Facts): readonly Row[] {
  const { max_best_of, max_stop_sequences, max_input_tokens: input, max_total_tokens: total } = info
  const stops = Array.from({ length: max_stop_sequences + 1 }, (_, i) => `s${i}`)
  const long = `\`inputs\` tokens + \`max_new_tokens\` must be <= ${total}. Given: `
  return [
    [{ best_of: 2 }, 'you must use sampling when `best_of` is > 1'],
    [{ temperature: -1 }, '`temperature` must be strictly positive'],
    [{ repetition_penalty: 0 }, '`repetition_penalty` must be strictly positive'],
    [{ repetition_penalty: -0.5 }, '`repetition_penalty` must be strictly positive'],
    [{ frequency_penalty: -2.1 }, '`frequency_penalty` must be >= -2.0 and <= 2.0'],
    [{ frequency_penalty: 2.1 }, '`frequency_penalty` must be >= -2.0 and <= 2.0'],
    [{ top_p: 0 }, '`top_p` must be > 0.0 and < 1.0'],
    [{ top_p: 1.1 }, '`top_p` must be > 0.0 and < 1.0'],
    [{ typical_p: 0 }, '`typical_p` must be > 0.0 and < 1.0'],
    [{ typical_p: 1.1 }, '`typical_p` must be > 0.0 and < 1.0'],
    [{ top_k: 0 }, '`top_k` must be strictly positive'],
    [{ top_k: -1 }, '`top_k` must be strictly positive'],
    [{ max_new_tokens: 0 }, '`max_new_tokens` must be strictly positive'],
    [{ stop: stops }, `\`stop\` supports up to ${max_stop_sequences} stop sequences. Given: ${stops.length}`],
    [{ seed: 0, best_of: max_best_of, do_sample: true }, '`seed` must not be set when `best_of` > 1'],
    [{ top_n_tokens: 6 }, '`top_n_tokens` must be >= 0 and <= 5. Given: 6'],
    [{}, '`inputs` cannot be empty', ''],
    [{ truncate: 0 }, `\`truncate\` must be strictly positive and less than ${input}. Given: 0`],
    [{ truncate: input + 1 }, `\`truncate\` must be strictly positive and less than ${input}. Given: ${input + 1}`],
    [
      { max_new_tokens: 8 },
      new RegExp(`${escaped(long)}\\d+ \`inputs\` tokens and 8 \`max_new_tokens\``),
      prompts.tooLong,
    ],
    // Of a greater number 1024 tokens are admitted at first, and named.
    [
      { max_new_tokens: 100_000 },
      new RegExp(`${escaped(long)}\\d+ \`inputs\` tokens and 1024 \`max_new_tokens\``),
      prompts.full,
    ],
    [{}, `\`inputs\` must have less than ${input} tokens. Given: ${total}`, prompts.full],
    [{ grammar: { type: 'json', value: 5 } }, 'grammar is not supported'],
    [{ grammar: { type: 'json', value: '{' } }, /grammar is not valid: .+/],
    [{ grammar: { type: 'json', value: {} } }, "grammar is not valid: Grammar must have a 'properties' field"],
  ]
}

/** Streams cannot choose among sequences, and are told so before anything else; whole answers have it among the rules. */
const forWhole = ({ info }: Facts): readonly Row[] => [
  [
    { best_of: info.max_best_of + 1 },
    `\`best_of\` must be > 0 and <= ${info.max_best_of}. Given: ${info.max_best_of + 1}`,
  ],
]
const forStream: readonly Row[] = [
  [{ best_of: 0 }, '`best_of` != 1 is not supported when streaming tokens'],
  [{ best_of: 2, temperature: -1 }, '`best_of` != 1 is not supported when streaming tokens'],
  [{ decoder_input_details: true }, '`decoder_input_details` == true is not supported when streaming tokens'],
]

const whole = (path: string, [parameters, detail, inputs = 'x']: Row): Case => ({
  what: `${path}: ${detailOf(detail).slice(0, 60)}`,
  ask: { path, body: { inputs, parameters } },
  answer: {
    status: 422,
    type: 'application/json',
    headers: { 'x-compute-time': null, 'x-compute-type': null },
    json: { error: new RegExp(`^${prefix}${detailOf(detail)}$`), error_type: 'validation' },
  },
})

const streamed = (path: string, [parameters, detail, inputs = 'x']: Row): Case => ({
  what: `${path}, stream: ${detailOf(detail).slice(0, 60)}`,
  ask: { path, body: { inputs, parameters, stream: true } },
  answer: {
    status: 200,
    type: 'text/event-stream',
    events: [{ error: new RegExp(`^${prefix}${detailOf(detail)}$`), error_type: 'validation' }],
  },
})

/** Rows of fields the OpenAI routes have, under their names. */
function openai(facts: Facts): readonly Row[] {
  const names: Readonly<Record<string, string>> = { max_new_tokens: 'max_tokens' }
  const known = ['temperature', 'frequency_penalty', 'top_p', 'max_new_tokens', 'stop']
  return rules(facts)
    .filter(([p, , inputs]) => inputs === undefined && Object.keys(p).every((key) => known.includes(key)))
    .map(([p, detail]) => [Object.fromEntries(Object.entries(p).map(([key, v]) => [names[key] ?? key, v])), detail])
}

const openaiCases = (path: string, prompt: object, [parameters, detail]: Row): readonly Case[] => [
  {
    what: `${path}: ${detailOf(detail).slice(0, 60)}`,
    ask: { path, body: { ...prompt, ...parameters } },
    answer: { status: 422, json: { error: new RegExp(`^${prefix}${detailOf(detail)}$`), error_type: 'validation' } },
  },
  {
    what: `${path}, stream: ${detailOf(detail).slice(0, 60)}`,
    ask: { path, body: { ...prompt, ...parameters, stream: true } },
    answer: {
      status: 200,
      type: 'text/event-stream',
      events: [{ error: { message: new RegExp(`^${prefix}${detailOf(detail)}$`), http_status_code: 422 } }, '[DONE]'],
    },
  },
]

const messages = [{ role: 'user', content: 'x' }]

export function validationCases(facts: Facts): readonly Case[] {
  const all = rules(facts)
  // A whole answer of several sequences is not for streams, which say so in other words.
  const inStreams = all.filter(([{ best_of }]) => best_of === undefined)
  return [
    ...['/generate', '/', '/invocations'].flatMap((path) =>
      [...forWhole(facts), ...all].map((row) => whole(path, row)),
    ),
    ...['/generate_stream', '/', '/invocations'].flatMap((path) =>
      [...forStream, ...inStreams].map((row) => streamed(path, row)),
    ),
    ...openai(facts).flatMap((row) => [
      ...openaiCases('/v1/chat/completions', { messages }, row),
      ...openaiCases('/v1/completions', { prompt: 'x' }, row),
    ]),
  ]
}
