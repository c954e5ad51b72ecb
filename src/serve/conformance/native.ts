import type { Case, Facts } from './cases.ts'
import { bool, count, each, logprob, orNull, seed, type Template, text } from './match.ts'

/** Answers of the native routes: shapes, defaults, headers and frames. */
const token: Template = { id: count, text, logprob, special: bool }
const prefill: Template = { id: count, text, logprob: orNull(logprob) }
const reason = /^(length|eos_token|stop_sequence)$/

const details = (tokens: number, more: { readonly [key: string]: Template } = {}): Template => ({
  finish_reason: reason,
  generated_tokens: count,
  seed: orNull(seed),
  prefill: [],
  tokens: each(token, tokens),
  ...more,
})

const digits = /^\d+$/
const costs = {
  'x-compute-type': /./,
  'x-compute-time': /^\d+\.\d+$|^\d+$|^\d+(\.\d+)?e-\d+$/,
  'x-compute-characters': digits,
  'x-total-time': digits,
  'x-validation-time': digits,
  'x-queue-time': digits,
  'x-inference-time': digits,
  'x-time-per-token': digits,
  'x-prompt-tokens': digits,
  'x-generated-tokens': digits,
}
const streamHeaders = {
  'cache-control': 'no-cache',
  'x-compute-type': /./,
  'x-compute-characters': digits,
  'x-accel-buffering': 'no',
  'x-compute-time': null,
  'x-total-time': null,
  'x-generated-tokens': null,
}

const inputs = 'Once upon a time'
const two = { max_new_tokens: 2 }
/** What `POST /` gives: a list of one. */
const asList = (json: Template): Template => [json]

const generate = (what: string, parameters: object, json: Template): readonly Case[] => [
  {
    what: `/generate: ${what}`,
    ask: { path: '/generate', body: { inputs, parameters } },
    answer: { status: 200, json },
  },
  { what: `/: ${what}`, ask: { path: '/', body: { inputs, parameters } }, answer: { status: 200, json: asList(json) } },
]

/** Without an end of its own: a token of a stream that is not the last. */
const event = (index: number): Template => ({ index, token, generated_text: null, details: null })

const defaults: readonly Case[] = [
  ...generate('no details unless asked for', two, { generated_text: text }),
  ...generate('details', { ...two, details: true }, { generated_text: text, details: details(2) }),
  ...generate(
    'likeliest tokens',
    { ...two, details: true, top_n_tokens: 3 },
    { generated_text: text, details: details(2, { top_tokens: each((v) => Array.isArray(v) && v.length >= 3, 2) }) },
  ),
  ...generate(
    'no likeliest tokens',
    { ...two, details: true, top_n_tokens: 0 },
    { generated_text: text, details: details(2) },
  ),
  ...generate(
    'a greedy answer has no seed',
    { ...two, details: true, seed: 7 },
    { generated_text: text, details: { ...(details(2) as object), seed: null } as Template },
  ),
  ...generate(
    'a drawn answer tells its seed',
    { ...two, details: true, seed: 7, do_sample: true },
    { generated_text: text, details: { ...(details(2) as object), seed: 7 } as Template },
  ),
  ...generate(
    'the prompt',
    { ...two, decoder_input_details: true },
    {
      generated_text: text,
      details: { ...(details(2) as object), prefill: each(prefill) } as Template,
    },
  ),
  ...generate(
    'the best of two',
    { ...two, details: true, best_of: 2, do_sample: true },
    {
      generated_text: text,
      details: details(2, {
        best_of_sequences: each({ generated_text: text, ...(details(2) as { readonly [key: string]: Template }) }, 1),
      }),
    },
  ),
  ...generate('best_of 0 is one', { ...two, best_of: 0 }, { generated_text: text }),
  ...generate('unknown adapters are the base', { ...two, adapter_id: 'nobody' }, { generated_text: text }),
  ...generate('the prompt in front', { ...two, return_full_text: true }, { generated_text: /^Once upon a time./ }),
  ...generate(
    'the prompt in front of the whole, not of what was left of it',
    { ...two, return_full_text: true, truncate: 1 },
    { generated_text: /^Once upon a time./ },
  ),
  {
    what: '/: the prompt in front where no task of the model is known',
    ask: { path: '/', body: { inputs, parameters: { ...two, return_full_text: null } } },
    answer: { status: 200, json: [{ generated_text: /^Once upon a time./ }] },
  },
  {
    what: 'a seed is told whole',
    ask: {
      path: '/generate',
      body: '{"inputs":"x","parameters":{"max_new_tokens":1,"do_sample":true,"details":true,"seed":18446744073709551615}}',
    },
    answer: { status: 200, text: /"seed":18446744073709551615,/ },
  },
  {
    what: 'nulls are absent',
    ask: {
      path: '/',
      body: {
        inputs,
        parameters: {
          do_sample: false,
          max_new_tokens: 2,
          repetition_penalty: null,
          frequency_penalty: null,
          return_full_text: false,
          stop: [],
          seed: null,
          temperature: null,
          top_k: null,
          top_p: null,
          truncate: null,
          typical_p: null,
          best_of: null,
          watermark: false,
          details: true,
          decoder_input_details: false,
          top_n_tokens: null,
          grammar: null,
        },
        stream: false,
      },
    },
    answer: { status: 200, json: [{ generated_text: text, details: details(2) }] },
  },
]

const headers: readonly Case[] = [
  ...['/generate', '/'].map(
    (path): Case => ({
      what: `${path}: headers of an answer`,
      ask: { path, body: { inputs: 'é😀', parameters: two } },
      answer: {
        status: 200,
        type: 'application/json',
        headers: { ...costs, 'x-compute-characters': '2', 'x-generated-tokens': '2' },
      },
    }),
  ),
  ...['/generate_stream', '/'].map(
    (path): Case => ({
      what: `${path}: headers of a stream`,
      ask: { path, body: { inputs: 'é😀', parameters: two, stream: true } },
      answer: { status: 200, type: 'text/event-stream', headers: { ...streamHeaders, 'x-compute-characters': '2' } },
    }),
  ),
  {
    what: 'a failed answer tells no costs',
    ask: { path: '/generate', body: { inputs: '' } },
    answer: { status: 422, headers: Object.fromEntries(Object.keys(costs).map((name) => [name, null])) },
  },
]

const frames: readonly Case[] = [
  {
    what: '/generate_stream: an event a token, the text with the last',
    ask: { path: '/generate_stream', body: { inputs, parameters: two } },
    answer: { status: 200, events: [event(1), { index: 2, token, generated_text: text, details: null }] },
  },
  {
    what: '/generate_stream: one token is one event',
    ask: { path: '/generate_stream', body: { inputs, parameters: { max_new_tokens: 1, details: true } } },
    answer: {
      status: 200,
      events: [
        {
          index: 1,
          token,
          generated_text: text,
          details: { finish_reason: reason, generated_tokens: 1, seed: null, input_length: count },
        },
      ],
    },
  },
  {
    what: '/generate_stream: likeliest tokens stand behind the token',
    ask: { path: '/generate_stream', body: { inputs, parameters: { max_new_tokens: 1, top_n_tokens: 2 } } },
    answer: {
      status: 200,
      events: [{ index: 1, token, top_tokens: each(token), generated_text: text, details: null }],
    },
  },
  {
    what: '/: streams when asked to, and ends without a mark',
    ask: { path: '/', body: { inputs, parameters: two, stream: true } },
    answer: {
      status: 200,
      events: [event(1), { index: 2, token, generated_text: /^Once upon a time./, details: null }],
    },
  },
]

const lengths = ({ prompts }: Facts): readonly Case[] => [
  {
    what: 'a prompt too long is taken when it is to be truncated',
    ask: { path: '/generate', body: { inputs: prompts.tooLong, parameters: { truncate: 4, ...two } } },
    answer: { status: 200, headers: { 'x-prompt-tokens': '4' } },
  },
]

export const nativeCases = (facts: Facts): readonly Case[] => [...defaults, ...headers, ...frames, ...lengths(facts)]

const relaxed: readonly (readonly [what: string, parameters: object])[] = [
  ['no heat', { temperature: 0, do_sample: true }],
  ['a mass of 1', { top_p: 1, typical_p: 1 }],
  ['one text to stop at', { stop: 'zzz' }],
]

/** What TGI refuses and we do not. */
export const nativeDeviations: readonly Case[] = relaxed.map(([what, parameters]) => ({
  what: `/generate: ${what}`,
  ask: { path: '/generate', body: { inputs, parameters: { ...two, ...parameters } } },
  answer: { status: 200, json: { generated_text: text } },
  ours: true,
}))
