import type { Case, Facts } from './cases.ts'
import { count, each, orNull, type Template, text } from './match.ts'

/** Small routes, cross-origin headers, methods, and the adapters of clouds. */
const cors = {
  'access-control-allow-origin': '*',
  vary: 'origin, access-control-request-method, access-control-request-headers',
}
const messages = [{ role: 'user', content: 'Hello' }]
const span: Template = { id: count, text, start: count, stop: count }
const get = (path: string, answer: Case['answer']): Case => ({
  what: `GET ${path}`,
  ask: { method: 'GET', path },
  answer,
})

function told({ info }: Facts): readonly Case[] {
  const id = info.model_id
  const infoAnswer: Template = {
    model_id: text,
    model_sha: orNull(text),
    model_pipeline_tag: orNull(text),
    max_concurrent_requests: count,
    max_best_of: count,
    max_stop_sequences: count,
    max_input_tokens: count,
    max_total_tokens: count,
    validation_workers: count,
    max_client_batch_size: count,
    router: 'text-generation-router',
    version: text,
    sha: orNull(text),
    docker_label: orNull(text),
  }
  return [
    get('/info', { status: 200, type: 'application/json', json: infoAnswer }),
    get('/v1/models', {
      status: 200,
      type: 'application/json',
      json: { object: 'list', data: [{ id, object: 'model', created: 0, owned_by: id }] },
    }),
    ...['/', '/health', '/ping'].map((path) => get(path, { status: 200, type: null, text: '', headers: cors })),
    get('/metrics', { status: 200, type: 'text/plain; charset=utf-8' }),
    get('/docs', { status: 303, headers: { location: '/docs/' } }),
    get('/docs/', { status: 200, type: /^text\/html/ }),
    get('/api-doc/openapi.json', { status: 200, type: 'application/json' }),
  ]
}

const methods: readonly Case[] = [
  ...['/info', '/health', '/v1/models', '/metrics'].map(
    (path): Case => ({
      what: `HEAD ${path}`,
      ask: { method: 'HEAD', path },
      answer: { status: 200, text: '', headers: cors },
    }),
  ),
  ...['/nowhere', '/v1', '/generate/', '/v1/models/x'].map((path) =>
    get(path, { status: 404, text: '', headers: cors }),
  ),
  ...['/generate', '/v1/completions', '/tokenize'].map((path) =>
    get(path, { status: 405, text: '', headers: { allow: 'POST' } }),
  ),
  {
    what: 'DELETE /info',
    ask: { method: 'DELETE', path: '/info' },
    answer: { status: 405, text: '', headers: { allow: 'GET,HEAD' } },
  },
  ...['/generate', '/nowhere', '/v1/chat/completions'].map(
    (path): Case => ({
      what: `OPTIONS ${path}`,
      ask: { method: 'OPTIONS', path, headers: { origin: 'https://a.example' } },
      answer: {
        status: 200,
        text: '',
        headers: {
          ...cors,
          'access-control-allow-methods': 'GET,POST',
          'access-control-allow-headers': 'content-type',
        },
      },
    }),
  ),
  {
    what: 'a key that nobody asked for',
    ask: {
      path: '/generate',
      headers: { authorization: 'Bearer x' },
      body: { inputs: 'x', parameters: { max_new_tokens: 1 } },
    },
    answer: { status: 200, headers: cors },
  },
]

const tokenizers: readonly Case[] = [
  {
    what: '/tokenize',
    ask: { path: '/tokenize', body: { inputs: 'Héllo world', parameters: { truncate: 1, temperature: -1 } } },
    answer: { status: 200, type: 'application/json', json: each(span) },
  },
  {
    what: '/chat_tokenize',
    ask: { path: '/chat_tokenize', body: { messages } },
    answer: { status: 200, json: { tokenize_response: each(span), templated_text: /Hello/ } },
  },
]

const parameters = { max_new_tokens: 1 }
const data = [...Buffer.from('Once')]
const infer = '/v2/models/m/versions/1/infer'

const clouds: readonly Case[] = [
  {
    what: '/invocations: generate',
    ask: { path: '/invocations', body: { inputs: 'Once', parameters } },
    answer: { status: 200, json: [{ generated_text: /^Once/ }] },
  },
  {
    what: '/invocations: chat',
    ask: { path: '/invocations', body: { messages, max_tokens: 1 } },
    answer: { status: 200, text: /"object":"chat\.completion"/ },
  },
  {
    what: '/invocations: completion',
    ask: { path: '/invocations', body: { prompt: 'Once', max_tokens: 1 } },
    answer: { status: 200, text: /"object":"text_completion"/ },
  },
  {
    what: '/vertex',
    ask: {
      path: '/vertex',
      body: {
        instances: [
          { inputs: 'Once', parameters },
          { messages, max_tokens: 1 },
        ],
      },
    },
    answer: { status: 200, headers: { 'x-compute-time': null }, json: { predictions: each(text, 2) } },
  },
  {
    what: '/vertex: no instances',
    ask: { path: '/vertex', body: { instances: [] } },
    answer: { status: 422, json: { error: 'Input validation error', error_type: 'Input validation error' } },
  },
]

/** TGI has these only when it is built with them. */
const kserve: readonly Case[] = [
  get('/v2', {
    status: 200,
    json: { name: 'text-generation-inference', version: text, extensions: ['health', 'models', 'metrics'] },
  }),
  ...['/v2/health/live', '/v2/health/ready', '/v2/models/m/versions/1/ready'].map((path) =>
    get(path, { status: 200, json: { live: true } }),
  ),
  get('/v2/models/m/versions/1', { status: 200, json: { name: 'm', version: '1', extensions: ['infer', 'ready'] } }),
  {
    what: 'POST infer',
    ask: {
      path: infer,
      body: {
        id: '1',
        parameters,
        inputs: [{ name: 'i', shape: [4], datatype: 'BYTES', data }],
        outputs: [{ name: 'o' }],
      },
    },
    answer: {
      status: 200,
      json: { id: '1', outputs: [{ name: 'o', shape: [1, count], datatype: 'BYTES', data: each(count) }] },
    },
  },
  {
    what: 'POST infer: more outputs than inputs',
    ask: { path: infer, body: { id: '1', inputs: [], outputs: [{ name: 'o' }] } },
    answer: { status: 422, json: { error: 'Inputs and outputs length mismatch', error_type: 'length mismatch' } },
  },
]

export const smallCases = (facts: Facts): readonly Case[] => [
  ...told(facts),
  ...methods,
  ...tokenizers,
  ...clouds,
  ...kserve.map((row): Case => ({ ...row, ours: true })),
]
