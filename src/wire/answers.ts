import { type TSchema, Type } from 'typebox'
import { f32, u8, u32, u64, usize } from './schema.ts'

/*
 * Shapes of the answers, for the document that describes the routes and the tests that hold answers against it. Unlike
 * requests they are all told: what may be missing is said so.
 */

const object = (title: string, properties: Record<string, TSchema>) => Type.Object(properties, { title })
const orNull = (schema: TSchema) => Type.Unsafe({ anyOf: [schema, { type: 'null' }] })
const text = Type.String()
const maybe = Type.Optional

export const ErrorResponseSchema = object('ErrorResponse', { error: text, error_type: text })

const PrefillToken = object('PrefillToken', { id: u32(), text, logprob: orNull(f32()) })
const Token = object('Token', { id: u32(), text, logprob: orNull(f32()), special: Type.Boolean() })
const FinishReason = Type.Unsafe({
  type: 'string',
  enum: ['length', 'eos_token', 'stop_sequence'],
  title: 'FinishReason',
})

const sequence = {
  finish_reason: FinishReason,
  generated_tokens: u32(),
  seed: orNull(u64()),
  prefill: Type.Array(PrefillToken),
  tokens: Type.Array(Token),
  top_tokens: maybe(Type.Array(Type.Array(Token))),
}
const BestOfSequence = object('BestOfSequence', { generated_text: text, ...sequence })
const Details = object('Details', { ...sequence, best_of_sequences: maybe(Type.Array(BestOfSequence)) })

export const GenerateResponseSchema = object('GenerateResponse', { generated_text: text, details: maybe(Details) })
export const CompatResponseSchema = Type.Array(GenerateResponseSchema)

const StreamDetails = object('StreamDetails', {
  finish_reason: FinishReason,
  generated_tokens: u32(),
  seed: orNull(u64()),
  input_length: u32(),
})

export const StreamResponseSchema = object('StreamResponse', {
  index: u32(),
  token: Token,
  top_tokens: maybe(Type.Array(Token)),
  generated_text: orNull(text),
  details: orNull(StreamDetails),
})

const SimpleToken = object('SimpleToken', { id: u32(), text, start: usize(), stop: usize() })
export const TokenizeResponseSchema = Type.Array(SimpleToken, { title: 'TokenizeResponse' })
export const ChatTokenizeResponseSchema = object('ChatTokenizeResponse', {
  tokenize_response: TokenizeResponseSchema,
  templated_text: text,
})

export const InfoSchema = object('Info', {
  model_id: text,
  model_sha: orNull(text),
  model_pipeline_tag: orNull(text),
  max_concurrent_requests: usize(),
  max_best_of: usize(),
  max_stop_sequences: usize(),
  max_input_tokens: usize(),
  max_total_tokens: usize(),
  validation_workers: usize(),
  max_client_batch_size: usize(),
  router: text,
  version: text,
  sha: orNull(text),
  docker_label: orNull(text),
})

const ModelInfo = object('ModelInfo', { id: text, object: text, created: u64(), owned_by: text })
export const ModelsInfoSchema = object('ModelsInfo', { object: text, data: Type.Array(ModelInfo) })

const Usage = object('Usage', { prompt_tokens: u32(), completion_tokens: u32(), total_tokens: u32() })
const around = { object: text, id: text, created: u64(), model: text, system_fingerprint: text }

const TopLogprob = object('ChatCompletionTopLogprob', { token: text, logprob: orNull(f32()) })
const Logprob = object('ChatCompletionLogprob', {
  token: text,
  logprob: orNull(f32()),
  top_logprobs: Type.Array(TopLogprob),
})
const Logprobs = object('ChatCompletionLogprobs', { content: Type.Array(Logprob) })

const TextMessage = object('TextMessage', { role: text, content: text })
const ChatCompletionComplete = object('ChatCompletionComplete', {
  index: u32(),
  message: TextMessage,
  logprobs: orNull(Logprobs),
  finish_reason: text,
})
export const ChatCompletionSchema = object('ChatCompletion', {
  ...around,
  choices: Type.Array(ChatCompletionComplete),
  usage: Usage,
})
const ChatCompletionChoice = object('ChatCompletionChoice', {
  index: u32(),
  delta: TextMessage,
  logprobs: orNull(Logprobs),
  finish_reason: orNull(text),
})
export const ChatCompletionChunkSchema = object('ChatCompletionChunk', {
  ...around,
  choices: Type.Array(ChatCompletionChoice),
  usage: orNull(Usage),
})

const CompletionComplete = object('CompletionComplete', {
  index: u32(),
  text,
  logprobs: Type.Unsafe({ anyOf: [Type.Object({}), { type: 'null' }] }),
  finish_reason: text,
})
export const CompletionFinalSchema = object('CompletionFinal', {
  ...around,
  choices: Type.Array(CompletionComplete),
  usage: Usage,
})
export const ChunkSchema = object('Chunk', {
  ...around,
  choices: Type.Array(CompletionComplete),
  usage: maybe(Usage),
})

export const VertexResponseSchema = object('VertexResponse', { predictions: Type.Array(text) })

const OutputData = object('OutputData', {
  name: text,
  shape: Type.Array(usize()),
  datatype: text,
  data: Type.Array(u8()),
})
export const KserveResponseSchema = object('InferenceResponse', { id: text, outputs: Type.Array(OutputData) })
export const LiveResponseSchema = object('LiveResponse', { live: Type.Boolean() })
export const ServerMetadataSchema = object('ServerMetadata', {
  name: text,
  version: text,
  extensions: Type.Array(text),
})
