import { Type } from 'typebox'
import { type ChatRequest, ChatRequestSchema, type CompletionRequest, CompletionRequestSchema } from './openai.ts'
import { nullable, optional, u8, u32, u64, untagged, usize } from './schema.ts'
import {
  type CompatGenerateRequest,
  CompatGenerateRequestSchema,
  type GenerateParameters,
  GenerateParametersSchema,
} from './tgi.ts'

/** Requests of the adapters for clouds: SageMaker, Vertex AI and KServe v2. */

export type InvocationRequest = CompatGenerateRequest | ChatRequest | CompletionRequest

/** Body of `POST /invocations`: whichever of three it looks like. */
export const InvocationRequestSchema = untagged<InvocationRequest>(
  [CompatGenerateRequestSchema, ChatRequestSchema, CompletionRequestSchema],
  { title: 'SagemakerRequest' },
)

const VertexGenerateSchema = Type.Object(
  {
    inputs: Type.String({ description: 'The prompt.' }),
    parameters: nullable(
      Type.Object({ max_new_tokens: nullable(u32()), seed: nullable(u64()) }, { title: 'VertexParameters' }),
    ),
  },
  { title: 'VertexGenerate' },
)

export interface VertexGenerate {
  readonly inputs: string
  readonly parameters: { readonly max_new_tokens: number | null; readonly seed: bigint | null } | null
}

export type VertexInstance = VertexGenerate | ChatRequest

export interface VertexRequest {
  readonly instances: readonly VertexInstance[]
}

/** Body of `POST /vertex`. */
export const VertexRequestSchema = Type.Object(
  {
    instances: Type.Array(
      untagged<VertexInstance>([VertexGenerateSchema, ChatRequestSchema], { title: 'VertexInstance' }),
    ),
  },
  { title: 'VertexRequest' },
)

const KserveInputSchema = Type.Object(
  {
    name: Type.String(),
    shape: Type.Array(usize()),
    datatype: Type.String(),
    data: Type.Array(u8(), { description: 'UTF-8 bytes of a prompt.' }),
  },
  { title: 'Input' },
)

export interface KserveRequest {
  readonly id: string
  readonly parameters: GenerateParameters
  readonly inputs: readonly {
    readonly name: string
    readonly shape: readonly number[]
    readonly datatype: string
    readonly data: readonly number[]
  }[]
  readonly outputs: readonly { readonly name: string }[]
}

/** Body of `POST /v2/models/{model}/versions/{version}/infer`. */
export const KserveRequestSchema = Type.Object(
  {
    id: Type.String(),
    parameters: optional(GenerateParametersSchema, { do_sample: true }),
    inputs: Type.Array(KserveInputSchema),
    outputs: Type.Array(Type.Object({ name: Type.String() }, { title: 'Output' })),
  },
  { title: 'InferenceRequest' },
)
