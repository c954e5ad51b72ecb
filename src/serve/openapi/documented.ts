import { type TSchema, Type } from 'typebox'
import {
  ChatCompletionChunkSchema,
  ChatCompletionSchema,
  ChatTokenizeResponseSchema,
  ChunkSchema,
  CompatResponseSchema,
  CompletionFinalSchema,
  ErrorResponseSchema,
  GenerateResponseSchema,
  InfoSchema,
  KserveResponseSchema,
  LiveResponseSchema,
  ModelsInfoSchema,
  ServerMetadataSchema,
  StreamResponseSchema,
  TokenizeResponseSchema,
  VertexResponseSchema,
} from '../../wire/answers.ts'
import { InvocationRequestSchema, KserveRequestSchema, VertexRequestSchema } from '../../wire/cloud.ts'
import { ChatRequestSchema, CompletionRequestSchema } from '../../wire/openai.ts'
import type { AnswerDoc, RouteDoc } from '../../wire/openapi.ts'
import { untagged } from '../../wire/schema.ts'
import { CompatGenerateRequestSchema, GenerateRequestSchema } from '../../wire/tgi.ts'

const tgi = 'Text Generation Inference'
const kserve = 'KServe'

const json = (schema: TSchema): AnswerDoc => ({
  status: 200,
  description: 'Done',
  content: { 'application/json': schema },
})
const both = (whole: TSchema, event: TSchema): AnswerDoc => ({
  status: 200,
  description: 'Done, or a stream of events',
  content: { 'application/json': whole, 'text/event-stream': event },
})
const events = (event: TSchema): AnswerDoc => ({
  status: 200,
  description: 'A stream of events; an error is its last',
  content: { 'text/event-stream': event },
})
const empty: AnswerDoc = { status: 200, description: 'Everything is working' }
const error = (status: number, description: string): AnswerDoc => ({
  status,
  description,
  content: { 'application/json': ErrorResponseSchema },
})
const invalid = error(422, 'Input validation error')
const generationErrors: readonly AnswerDoc[] = [
  invalid,
  error(424, 'Generation error'),
  error(429, 'Model is overloaded'),
  error(500, 'Incomplete generation'),
]

/** A body that is refused before it is a request is told as text. */
const text = { 'text/plain': Type.String() }
const refusals: readonly AnswerDoc[] = [
  { status: 400, description: 'The body is not JSON', content: text },
  { status: 413, description: 'The body is too large', content: text },
  { status: 415, description: 'The body is not called JSON', content: text },
]
const misshapen: AnswerDoc = { status: 422, description: 'JSON of the wrong shape, as text', content: text }

/** With what is answered before a handler is reached. */
function withRefusals(route: RouteDoc): RouteDoc {
  const locked: readonly AnswerDoc[] = route.secured ? [{ status: 401, description: 'No key, or a wrong one' }] : []
  if (!route.body) return { ...route, answers: [...route.answers, ...locked] }
  const said = route.answers.map((answer) =>
    answer.status === 422 ? { ...answer, content: { ...answer.content, ...text } } : answer,
  )
  const missing = said.some(({ status }) => status === 422) ? [] : [misshapen]
  const answers = [...said, ...refusals, ...missing, ...locked].toSorted((a, b) => a.status - b.status)
  return { ...route, answers }
}

const unhealthy = error(503, 'The engine does not answer')

/** The routes and what their handlers answer. */
const routes: readonly RouteDoc[] = [
  {
    method: 'post',
    path: '/',
    operationId: 'compat_generate',
    tag: tgi,
    summary: 'Generate tokens: an answer, or a stream if `stream` is true',
    body: CompatGenerateRequestSchema,
    answers: [both(CompatResponseSchema, StreamResponseSchema), ...generationErrors],
    secured: true,
  },
  {
    method: 'post',
    path: '/generate',
    operationId: 'generate',
    tag: tgi,
    summary: 'Generate tokens',
    body: GenerateRequestSchema,
    answers: [json(GenerateResponseSchema), ...generationErrors],
    secured: true,
  },
  {
    method: 'post',
    path: '/generate_stream',
    operationId: 'generate_stream',
    tag: tgi,
    summary: 'Generate a stream of tokens as server-sent events',
    body: GenerateRequestSchema,
    answers: [events(StreamResponseSchema)],
    secured: true,
  },
  {
    method: 'post',
    path: '/v1/chat/completions',
    operationId: 'chat_completions',
    tag: tgi,
    summary: 'Answer a conversation',
    body: ChatRequestSchema,
    answers: [both(ChatCompletionSchema, ChatCompletionChunkSchema), ...generationErrors],
    secured: true,
  },
  {
    method: 'post',
    path: '/v1/completions',
    operationId: 'completions',
    tag: tgi,
    summary: 'Continue one prompt or several',
    body: CompletionRequestSchema,
    answers: [both(CompletionFinalSchema, ChunkSchema), ...generationErrors],
    secured: true,
  },
  {
    method: 'get',
    path: '/v1/models',
    operationId: 'openai_get_model_info',
    tag: tgi,
    summary: 'The model that is served',
    answers: [json(ModelsInfoSchema)],
  },
  {
    method: 'post',
    path: '/tokenize',
    operationId: 'tokenize',
    tag: tgi,
    summary: 'The tokens of a prompt',
    body: GenerateRequestSchema,
    answers: [json(TokenizeResponseSchema), invalid],
    secured: true,
  },
  {
    method: 'post',
    path: '/chat_tokenize',
    operationId: 'chat_tokenize',
    tag: tgi,
    summary: 'The prompt a conversation becomes, and its tokens',
    body: ChatRequestSchema,
    answers: [json(ChatTokenizeResponseSchema), invalid],
  },
  {
    method: 'get',
    path: '/info',
    operationId: 'get_model_info',
    tag: tgi,
    summary: 'The model and the limits of the server',
    answers: [json(InfoSchema)],
  },
  ...['/health', '/health/live', '/health/ready', '/ping', '/'].map(
    (path): RouteDoc => ({
      method: 'get',
      path,
      operationId: path === '/' ? 'root_health' : path.slice(1).replace('/', '_'),
      tag: tgi,
      summary: path === '/health/live' ? 'Whether the engine turns over' : 'Whether the engine generates',
      answers: [empty, unhealthy],
    }),
  ),
  {
    method: 'get',
    path: '/metrics',
    operationId: 'metrics',
    tag: tgi,
    summary: 'Metrics, as Prometheus reads them',
    answers: [{ status: 200, description: 'Metrics', content: { 'text/plain': Type.String() } }],
  },
  {
    method: 'post',
    path: '/invocations',
    operationId: 'sagemaker_compatibility',
    tag: tgi,
    summary: 'Generate, chat or complete, as the body is shaped',
    body: InvocationRequestSchema,
    answers: [
      both(
        untagged([CompatResponseSchema, ChatCompletionSchema, CompletionFinalSchema], { title: 'SagemakerResponse' }),
        untagged([StreamResponseSchema, ChatCompletionChunkSchema, ChunkSchema], { title: 'SagemakerStreamResponse' }),
      ),
      ...generationErrors,
    ],
    secured: true,
  },
  {
    method: 'post',
    path: '/vertex',
    operationId: 'vertex_compatibility',
    tag: tgi,
    summary: 'Answer instances of Vertex AI',
    body: VertexRequestSchema,
    answers: [
      json(VertexResponseSchema),
      invalid,
      error(429, 'Model is overloaded'),
      error(500, 'Incomplete generation'),
    ],
    secured: true,
  },
  {
    method: 'get',
    path: '/v2',
    operationId: 'kserve_server_metadata',
    tag: kserve,
    summary: 'The server',
    answers: [json(ServerMetadataSchema)],
  },
  ...['live', 'ready'].map(
    (state): RouteDoc => ({
      method: 'get',
      path: `/v2/health/${state}`,
      operationId: `kserve_health_${state}`,
      tag: kserve,
      summary: `Whether the server is ${state}`,
      answers: [json(LiveResponseSchema)],
    }),
  ),
  {
    method: 'get',
    path: '/v2/models/{model}/versions/{version}',
    operationId: 'kserve_model_metadata',
    tag: kserve,
    summary: 'The model under any name',
    answers: [json(ServerMetadataSchema)],
  },
  {
    method: 'get',
    path: '/v2/models/{model}/versions/{version}/ready',
    operationId: 'kserve_model_metadata_ready',
    tag: kserve,
    summary: 'Whether the model is ready',
    answers: [json(LiveResponseSchema)],
  },
  {
    method: 'post',
    path: '/v2/models/{model}/versions/{version}/infer',
    operationId: 'kserve_model_infer',
    tag: kserve,
    summary: 'Generate from prompts as bytes',
    body: KserveRequestSchema,
    answers: [
      json(KserveResponseSchema),
      invalid,
      error(429, 'Model is overloaded'),
      error(500, 'Incomplete generation'),
    ],
    secured: true,
  },
]

/** Every route there is. */
export const documented: readonly RouteDoc[] = routes.map(withRefusals)
