import type { Case, Facts } from './cases.ts'
import { count, each, logprob, orNull, type Template, text } from './match.ts'

/** Answers of the OpenAI routes. */
const messages = [{ role: 'user', content: 'Hello' }]
const chatPath = '/v1/chat/completions'
const completionPath = '/v1/completions'

const usage: Template = { prompt_tokens: count, completion_tokens: count, total_tokens: count }
const around = (object: string, model: Template) => ({
  object,
  id: '',
  created: (value: unknown) => Math.abs(Number(value) - Date.now() / 1000) < 3600,
  model,
  system_fingerprint: /.-./,
})
const finish = /^(length|stop|stop_sequence)$/
const scored: Template = { token: text, logprob, top_logprobs: each({ token: text, logprob: orNull(logprob) }) }

const answerOf = (model: Template, choices: Template): Template => ({
  ...around('chat.completion', model),
  choices,
  usage,
})
const choice: Template = {
  index: 0,
  message: { role: 'assistant', content: text },
  logprobs: null,
  finish_reason: finish,
}

const chunkOf = (model: Template, choices: Template, told: Template = null): Template => ({
  ...around('chat.completion.chunk', model),
  choices,
  usage: told,
})
const delta = (reason: Template, logprobs: Template = null): Template => ({
  index: 0,
  delta: { role: 'assistant', content: text },
  logprobs,
  finish_reason: reason,
})

const chat = (what: string, body: object, answer: Case['answer']): Case => ({
  what: `chat: ${what}`,
  ask: { path: chatPath, body: { messages, max_tokens: 2, temperature: 0, ...body } },
  answer,
})

function chats({ info }: Facts): readonly Case[] {
  const here = info.model_id
  const plain = { status: 200, json: answerOf(here, [choice]) }
  const streamed = [chunkOf(here, [delta(null)]), chunkOf(here, [delta(finish)])]
  return [
    chat(
      'an answer',
      {},
      { ...plain, type: 'application/json', headers: { 'x-compute-time': /./, 'x-generated-tokens': '2' } },
    ),
    chat('model tgi is the server', { model: 'tgi' }, plain),
    chat('model null is the server', { model: null }, plain),
    chat(
      'another model is echoed',
      { model: 'http://x:8080' },
      { status: 200, json: answerOf('http://x:8080', [choice]) },
    ),
    chat(
      'scores',
      { logprobs: true },
      {
        status: 200,
        json: answerOf(here, [{ ...(choice as object), logprobs: { content: each(scored, 2) } } as Template]),
      },
    ),
    chat('likeliest tokens without scores are not told', { top_logprobs: 2 }, plain),
    chat(
      'a stream',
      { stream: true },
      {
        status: 200,
        type: 'text/event-stream',
        headers: { 'x-accel-buffering': 'no', 'cache-control': 'no-cache', 'x-total-time': null },
        events: [...streamed, '[DONE]'],
      },
    ),
    chat(
      'a stream with scores',
      { stream: true, logprobs: true, max_tokens: 1 },
      { status: 200, events: [chunkOf(here, [delta(finish, { content: each(scored, 1) })]), '[DONE]'] },
    ),
    chat(
      'a stream with usage',
      { stream: true, stream_options: { include_usage: true } },
      { status: 200, events: [...streamed, chunkOf(here, [], usage), '[DONE]'] },
    ),
    chat(
      'a stream without usage',
      { stream: true, stream_options: { include_usage: false } },
      { status: 200, events: [...streamed, '[DONE]'] },
    ),
    chat('nulls are absent', Object.fromEntries(nullable.map((name) => [name, null])), plain),
    chat(
      'parts of a content',
      { messages: [{ role: 'user', content: [{ type: 'text', text: 'Hello', image_url: null }] }] },
      plain,
    ),
    chat(
      'tools that are not to be used',
      { tools: [{ type: 'function', function: { name: 'f', parameters: {} } }], tool_choice: 'none' },
      plain,
    ),
    chat(
      'an unknown tool',
      { tools: [{ type: 'function', function: { name: 'f', parameters: {} } }], tool_choice: 'g' },
      { status: 422, json: { error: 'Tool error: Tool with name g not found', error_type: 'tool_error' } },
    ),
    chat(
      'tools and a grammar',
      { tools: [], response_format: { type: 'json', value: { properties: {} } } },
      {
        status: 422,
        json: { error: 'Tool error: Grammar and tools are mutually exclusive', error_type: 'tool_error' },
      },
    ),
    chat(
      'the last word of the assistant is gone on with',
      { messages: [...messages, { role: 'assistant', content: 'Hello' }] },
      plain,
    ),
  ]
}

const nullable = [
  'model',
  'logit_bias',
  'logprobs',
  'top_logprobs',
  'n',
  'presence_penalty',
  'frequency_penalty',
  'seed',
  'top_p',
  'tools',
  'tool_prompt',
  'tool_choice',
  'stop',
  'response_format',
]

const completion = (what: string, body: object, answer: Case['answer']): Case => ({
  what: `completion: ${what}`,
  ask: { path: completionPath, body: { prompt: 'Once', max_tokens: 2, temperature: 0, ...body } },
  answer,
})

function completions({ info }: Facts): readonly Case[] {
  const envelope = around('text_completion', info.model_id)
  const one = (index: Template, reason: Template): Template => ({ index, text, logprobs: null, finish_reason: reason })
  const whole = (choices: Template): Template => ({ ...envelope, choices, usage })
  const { model, system_fingerprint, ...head } = envelope
  const piece: Template = { ...head, choices: [one(0, '')], model, system_fingerprint }
  const last: Template = { ...envelope, choices: [one(0, /^(length|eos_token|stop_sequence)$/)], usage }
  const plain = { status: 200, json: whole([one(0, finish)]) }
  const prompts = Array.from({ length: info.max_client_batch_size }, () => 'Once')
  return [
    completion(
      'a text',
      {},
      {
        ...plain,
        headers: {
          'x-compute-type': /./,
          'x-compute-time': null,
          'x-accel-buffering': null,
          'x-total-time': /^\d+$/,
          'x-generated-tokens': '2',
        },
      },
    ),
    completion('a list of one', { prompt: ['Once'] }, plain),
    completion(
      'as many as allowed',
      { prompt: prompts },
      {
        status: 200,
        json: whole(each(one(count, finish), prompts.length)),
        headers: {
          'x-generated-tokens': String(2 * prompts.length),
          'x-compute-characters': String(4 * prompts.length),
        },
      },
    ),
    completion(
      'one more',
      { prompt: [...prompts, 'a'] },
      {
        status: 422,
        json: {
          error: `Number of prompts exceeds the maximum allowed batch size of ${prompts.length}`,
          error_type: 'batch size exceeded',
        },
      },
    ),
    completion(
      'a suffix',
      { suffix: '' },
      {
        status: 422,
        json: {
          error: 'Suffix is not supported and can be achieved by preprocessing the prompt.',
          error_type: 'suffix not supported',
        },
      },
    ),
    completion('a suffix, streamed', { suffix: 'x', stream: true }, { status: 422 }),
    completion(
      'no prompts',
      { prompt: [] },
      { status: 422, text: /Empty array detected\. Do not use an empty array for the prompt\./ },
    ),
    completion('another model is not echoed', { model: 'other' }, plain),
    completion(
      'a stream',
      { stream: true },
      {
        status: 200,
        type: 'text/event-stream',
        headers: { 'x-accel-buffering': 'no', 'x-compute-characters': '4' },
        events: [piece, last, '[DONE]'],
      },
    ),
    completion(
      'an empty prompt, streamed',
      { prompt: '', stream: true },
      {
        status: 200,
        events: [
          { error: { message: 'Input validation error: `inputs` cannot be empty', http_status_code: 422 } },
          '[DONE]',
        ],
      },
    ),
    completion('fields of other routes', { do_sample: true, return_full_text: false, details: true }, plain),
  ]
}

const relaxedChat: readonly (readonly [what: string, body: object])[] = [
  ['one text to stop at', { stop: 'zzz' }],
  ['no stream options', { stream_options: null }],
  ['both names of the length', { max_completion_tokens: 1 }],
  ['a format of text', { response_format: { type: 'text' } }],
  ['a map of no biases', { logit_bias: {} }],
  ['a mass of 1', { top_p: 1 }],
  ['several answers', { n: 2 }],
  ['results of tools', { messages: [...messages, { role: 'tool', content: '6', tool_call_id: '0' }] }],
]

/** What TGI refuses and we do not. */
export const openaiDeviations: readonly Case[] = [
  ...relaxedChat.map(([what, body]): Case => ({ ...chat(what, body, { status: 200 }), ours: true })),
  {
    ...completion('token ids', { prompt: [1, 2, 3] }, { status: 200, headers: { 'x-prompt-tokens': '3' } }),
    ours: true,
  },
  { ...completion('lists of token ids', { prompt: [[1], [2, 3]] }, { status: 200 }), ours: true },
  {
    ...completion(
      'ids beyond the vocabulary',
      { prompt: [4294967295] },
      { status: 422, json: { error: /the token id 4294967295/, error_type: 'validation' } },
    ),
    ours: true,
  },
]

export const openaiCases = (facts: Facts): readonly Case[] => [...chats(facts), ...completions(facts)]
