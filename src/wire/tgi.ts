import { Type } from 'typebox'
import { f32, i32, nullable, oneOrMany, optional, type Read, tagged, u32, u64, usize } from './schema.ts'

/** What generated text must look like. */
export type Grammar =
  | { readonly type: 'json' | 'json_object'; readonly value: unknown }
  | { readonly type: 'json_schema'; readonly value: { readonly name: string | null; readonly schema: unknown } }
  | { readonly type: 'regex'; readonly value: string }

const JsonSchemaConfig = Type.Object(
  { name: nullable(Type.String()), schema: Type.Unknown() },
  { title: 'JsonSchemaConfig' },
)

export const GrammarType = tagged<Grammar>('GrammarType', {
  json: Type.Unknown(),
  json_object: Type.Unknown(),
  regex: Type.String(),
  json_schema: JsonSchemaConfig,
})

/** `parameters` of a native generate request. Bounds that depend on a server's limits are checked by the server. */
export const GenerateParametersSchema = Type.Object(
  {
    best_of: nullable(usize({ description: 'Generate this many sequences and return the likeliest.' })),
    temperature: nullable(f32({ description: 'Divides the logits; 0 takes the likeliest token.' })),
    repetition_penalty: nullable(f32({ description: 'Penalty on tokens seen in prompt or text; 1 is none.' })),
    frequency_penalty: nullable(f32({ description: 'Penalty by how often a token was seen; 0 is none.' })),
    top_k: nullable(i32({ description: 'Keep this many likeliest tokens.' })),
    top_p: nullable(f32({ description: 'Keep the likeliest tokens that sum to this probability.' })),
    typical_p: nullable(f32({ description: 'Keep the most typical tokens that sum to this probability.' })),
    do_sample: optional(Type.Boolean({ description: 'Draw tokens; the likeliest is taken otherwise.' }), false),
    max_new_tokens: nullable(u32({ description: 'Most tokens to generate; until the context is full if absent.' })),
    return_full_text: nullable(Type.Boolean({ description: 'Put the prompt in front of the text.' })),
    stop: optional(oneOrMany<string>(Type.String(), { description: 'Texts that end the generation.' }), []),
    truncate: nullable(usize({ description: 'Keep only the last this many tokens of the prompt.' })),
    watermark: optional(Type.Boolean({ description: 'Not supported yet.' }), false),
    details: optional(Type.Boolean({ description: 'Return tokens and how the generation ended.' }), false),
    decoder_input_details: optional(Type.Boolean({ description: 'Return the prompt tokens with scores.' }), false),
    seed: nullable(u64({ description: 'Seed of the draws; random if absent.' })),
    top_n_tokens: nullable(u32({ description: 'Return this many likeliest tokens of each step.' })),
    grammar: nullable(GrammarType),
    adapter_id: nullable(Type.String({ description: 'LoRA adapter; unknown ones mean the base model.' })),
  },
  { title: 'GenerateParameters' },
)

const inputs = Type.String({ description: 'The prompt.' })

/** An absent `parameters` is not an empty one: it also turns sampling on. */
const parameters = optional(GenerateParametersSchema, { do_sample: true })

/** Body of `POST /generate` and `POST /generate_stream`. */
export const GenerateRequestSchema = Type.Object({ inputs, parameters }, { title: 'GenerateRequest' })

/** Body of `POST /`. */
export const CompatGenerateRequestSchema = Type.Object(
  { inputs, parameters, stream: optional(Type.Boolean(), false) },
  { title: 'CompatGenerateRequest' },
)

export type GenerateParameters = Read<typeof GenerateParametersSchema>

export interface GenerateRequest {
  readonly inputs: string
  readonly parameters: GenerateParameters
}

export interface CompatGenerateRequest extends GenerateRequest {
  readonly stream: boolean
}

export interface PrefillToken {
  readonly id: number
  readonly text: string
  readonly logprob: number | null
}

export interface Token extends PrefillToken {
  readonly special: boolean
}

export type FinishReason = 'length' | 'eos_token' | 'stop_sequence'

/** One generation, told in full. */
export interface SequenceDetails {
  readonly finish_reason: FinishReason
  readonly generated_tokens: number
  readonly seed: bigint | null
  readonly prefill: readonly PrefillToken[]
  readonly tokens: readonly Token[]
  /** Left out when empty. */
  readonly top_tokens: readonly (readonly Token[])[]
}

export interface BestOfSequence extends SequenceDetails {
  readonly generated_text: string
}

export interface Details extends SequenceDetails {
  /** Only with `best_of` > 1: the sequences that did not win. */
  readonly best_of_sequences?: readonly BestOfSequence[]
}

/** Answer of `POST /generate`. */
export interface GenerateResponse {
  readonly generated_text: string
  readonly details?: Details
}

export interface StreamDetails {
  readonly finish_reason: FinishReason
  readonly generated_tokens: number
  readonly seed: bigint | null
  readonly input_length: number
}

/** One event of `POST /generate_stream`. */
export interface StreamResponse {
  /** From 1. */
  readonly index: number
  readonly token: Token
  /** Left out when empty. */
  readonly top_tokens: readonly Token[]
  /** On the last event only. */
  readonly generated_text: string | null
  readonly details: StreamDetails | null
}

export interface ErrorResponse {
  readonly error: string
  readonly error_type: string
}

/** Answer of `GET /info`. */
export interface InfoResponse {
  readonly model_id: string
  readonly model_sha: string | null
  readonly model_pipeline_tag: string | null
  readonly max_concurrent_requests: number
  readonly max_best_of: number
  readonly max_stop_sequences: number
  readonly max_input_tokens: number
  readonly max_total_tokens: number
  readonly validation_workers: number
  readonly max_client_batch_size: number
  readonly router: string
  readonly version: string
  readonly sha: string | null
  readonly docker_label: string | null
}
