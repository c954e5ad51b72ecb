import { Type } from 'typebox'
import { f32, nullable, oneOrMany, type Read, u32, u64, untagged } from './schema.ts'
import { type Grammar, GrammarType } from './tgi.ts'

/*
 * Requests of the OpenAI routes, as the reference server reads them and as OpenAI's own clients send them where the two
 * differ: `stop` may be one text, `stream_options` null, a format of OpenAI's own, a prompt token ids.
 */

const TextPart = Type.Object({ type: Type.Literal('text'), text: Type.String() }, { title: 'TextPart' })

const ImagePart = Type.Object(
  {
    type: Type.Literal('image_url'),
    image_url: Type.Object({ url: Type.String() }, { title: 'Url' }),
  },
  { title: 'ImagePart' },
)

export type ContentPart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image_url'; readonly image_url: { readonly url: string } }

const CalledFunction = Type.Object(
  {
    name: Type.String(),
    description: nullable(Type.String()),
    arguments: nullable(Type.Unknown()),
    parameters: nullable(Type.Unknown({ description: 'Another name of arguments.' })),
  },
  { title: 'CalledFunction', 'x-one-of': { title: 'CalledFunction', keys: ['arguments', 'parameters'] } },
)

const ToolCallSchema = Type.Object(
  { id: Type.String(), type: Type.String(), function: CalledFunction },
  { title: 'ToolCall' },
)

/** A call of a tool in the history of a chat. */
export interface ToolCall {
  readonly id: string
  readonly type: string
  readonly function: {
    readonly name: string
    readonly description: string | null
    readonly arguments: unknown
    readonly parameters: unknown
  }
}

const MessageSchema = Type.Object(
  {
    role: Type.String(),
    content: nullable(
      untagged<string | readonly ContentPart[]>([Type.String(), Type.Array(untagged([TextPart, ImagePart]))]),
    ),
    tool_calls: nullable(Type.Array(ToolCallSchema)),
    name: nullable(Type.String()),
    tool_call_id: nullable(Type.String()),
  },
  { title: 'Message', 'x-one-of': { title: 'MessageBody', keys: ['content', 'tool_calls'] } },
)

export interface Message {
  readonly role: string
  readonly content: string | readonly ContentPart[] | null
  readonly tool_calls: readonly ToolCall[] | null
  readonly name: string | null
  readonly tool_call_id: string | null
}

const ToolSchema = Type.Object(
  {
    type: Type.String(),
    function: Type.Object(
      {
        name: Type.String(),
        description: nullable(Type.String()),
        arguments: nullable(Type.Unknown({ description: 'JSON Schema of the arguments.' })),
        parameters: nullable(Type.Unknown({ description: 'Another name of arguments.' })),
      },
      { title: 'FunctionDefinition' },
    ),
  },
  { title: 'Tool' },
)

export type Tool = Read<typeof ToolSchema>

/** `auto`, `none`, `required`, or the name of a function. */
export type ToolChoice = string | { readonly type: string; readonly function: { readonly name: string } }

const ToolChoiceSchema = untagged<ToolChoice>(
  [
    Type.String(),
    Type.Object({ type: Type.String(), function: Type.Object({ name: Type.String() }, { title: 'FunctionName' }) }),
  ],
  { title: 'ToolChoice' },
)

const OpenAiSchemaFormat = Type.Object(
  {
    type: Type.Literal('json_schema'),
    json_schema: Type.Object(
      {
        name: nullable(Type.String()),
        description: nullable(Type.String()),
        schema: Type.Unknown(),
        strict: nullable(Type.Boolean()),
      },
      { title: 'OpenAiJsonSchema' },
    ),
  },
  { title: 'OpenAiSchemaFormat' },
)

/** What an answer must look like: the reference server's `{type, value}`, or OpenAI's own forms. */
export type ResponseFormat =
  | Grammar
  | { readonly type: 'text' }
  | { readonly type: 'json_object' }
  | { readonly type: 'json_schema'; readonly json_schema: { readonly name: string | null; readonly schema: unknown } }

const ResponseFormatSchema = untagged<ResponseFormat>([
  GrammarType,
  Type.Object({ type: Type.Literal('text') }, { title: 'TextFormat' }),
  Type.Object({ type: Type.Literal('json_object') }, { title: 'JsonObjectFormat' }),
  OpenAiSchemaFormat,
])

const StreamOptions = Type.Object(
  { include_usage: nullable(Type.Boolean({ description: 'End the stream with a chunk that tells the usage.' })) },
  { title: 'StreamOptions' },
)

const common = {
  model: nullable(Type.String({ description: 'Any name is served by the one model there is.' })),
  temperature: nullable(f32({ description: '0 takes the likeliest token.' })),
  top_p: nullable(f32({ description: 'Keep the likeliest tokens that sum to this probability.' })),
  frequency_penalty: nullable(f32({ description: 'Penalty by how often a token was seen; 0 is none.' })),
  max_tokens: nullable(u32({ description: 'Most tokens to generate; until the context is full if absent.' })),
  n: nullable(u32({ description: 'Generate this many answers.' })),
  seed: nullable(u64({ description: 'Seed of the draws; random if absent.' })),
  stop: nullable(oneOrMany<string>(Type.String(), { description: 'Texts that end the generation.' })),
  stream: nullable(Type.Boolean({ description: 'Answer with an event a token.' })),
  stream_options: nullable(StreamOptions),
}

/** Body of `POST /v1/chat/completions` and `POST /chat_tokenize`. */
export const ChatRequestSchema = Type.Object(
  {
    messages: Type.Array(MessageSchema, { description: 'The conversation, oldest first.' }),
    ...common,
    max_completion_tokens: nullable(u32({ description: "OpenAI's new name of max_tokens; wins over it." })),
    presence_penalty: nullable(f32({ description: '0 is none; else a repetition penalty of this plus 2.' })),
    logprobs: nullable(Type.Boolean({ description: 'Return the log-probabilities of the tokens.' })),
    top_logprobs: nullable(u32({ description: 'Return this many likeliest tokens of each step.' })),
    logit_bias: nullable(
      untagged<readonly number[] | Readonly<Record<string, number>>>([
        Type.Array(f32()),
        Type.Unsafe({ type: 'object', additionalProperties: f32() }),
      ]),
    ),
    tools: nullable(Type.Array(ToolSchema)),
    tool_choice: nullable(ToolChoiceSchema),
    tool_prompt: nullable(Type.String()),
    response_format: nullable(ResponseFormatSchema),
  },
  { title: 'ChatRequest' },
)

interface Common {
  readonly model: string | null
  readonly temperature: number | null
  readonly top_p: number | null
  readonly frequency_penalty: number | null
  readonly max_tokens: number | null
  readonly n: number | null
  readonly seed: bigint | null
  readonly stop: readonly string[] | null
  readonly stream: boolean | null
  readonly stream_options: { readonly include_usage: boolean | null } | null
}

export interface ChatRequest extends Common {
  readonly messages: readonly Message[]
  readonly max_completion_tokens: number | null
  readonly presence_penalty: number | null
  readonly logprobs: boolean | null
  readonly top_logprobs: number | null
  readonly logit_bias: readonly number[] | Readonly<Record<string, number>> | null
  readonly tools: readonly Tool[] | null
  readonly tool_choice: ToolChoice | null
  readonly tool_prompt: string | null
  readonly response_format: ResponseFormat | null
}

/** One prompt: a text, or the ids of its tokens. */
export type CompletionPrompt = string | readonly number[]

const PromptSchema = untagged<CompletionPrompt | readonly CompletionPrompt[]>(
  [Type.String(), Type.Array(Type.String()), Type.Array(u32()), Type.Array(Type.Array(u32()))],
  {
    description: 'One prompt or several; each a text, or the ids of its tokens.',
    'x-empty': 'Empty array detected. Do not use an empty array for the prompt.',
  },
)

/** Body of `POST /v1/completions`. */
export const CompletionRequestSchema = Type.Object(
  {
    prompt: PromptSchema,
    ...common,
    repetition_penalty: nullable(f32({ description: 'Penalty on tokens seen in prompt or text; 1 is none.' })),
    suffix: nullable(Type.String({ description: 'Not supported.' })),
  },
  { title: 'CompletionRequest' },
)

export interface CompletionRequest extends Common {
  readonly prompt: CompletionPrompt | readonly CompletionPrompt[]
  readonly repetition_penalty: number | null
  readonly suffix: string | null
}

export interface Usage {
  readonly prompt_tokens: number
  readonly completion_tokens: number
  readonly total_tokens: number
}

/** What stands around the choices of every answer. */
export interface Envelope {
  readonly id: string
  /** Unix seconds. */
  readonly created: number
  readonly model: string
  readonly system_fingerprint: string
}

export interface ChatLogprob {
  readonly token: string
  readonly logprob: number | null
  readonly top_logprobs: readonly { readonly token: string; readonly logprob: number | null }[]
}

export interface ChatChoice {
  readonly index: number
  readonly content: string
  readonly logprobs: readonly ChatLogprob[] | null
  readonly finish_reason: string
}

/** One piece of a streamed chat; `finish_reason` is null but in the last. */
export interface ChatDelta {
  readonly index: number
  readonly content: string
  readonly logprobs: readonly ChatLogprob[] | null
  readonly finish_reason: string | null
}

export interface CompletionChoice {
  readonly index: number
  readonly text: string
  /** Empty in all but the last piece of a stream. */
  readonly finish_reason: string
}
