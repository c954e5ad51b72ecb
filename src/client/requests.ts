import type { ChatRequest, CompletionRequest, Message, ToolCall } from '../wire/openai.ts'
import type { GenerateParameters } from '../wire/tgi.ts'

/** Fields of a request, any of which may be left out; null means the same. */
type Given<T> = { readonly [K in keyof T]?: T[K] | null | undefined }

/** Unsigned 64-bit. */
type Seed = { readonly seed?: bigint | number | null }

/** `parameters` of a native request. */
export type GenerateInput = Given<Omit<GenerateParameters, 'seed'>> & Seed

/** A message of a chat: a text or parts of it, or the calls of tools. */
export interface MessageInput extends Given<Omit<Message, 'role' | 'tool_calls'>> {
  readonly role: string
  readonly tool_calls?: readonly ToolCallInput[] | null
}

type ToolCallInput = Pick<ToolCall, 'id' | 'type'> & {
  readonly function: Given<Omit<ToolCall['function'], 'name'>> & { readonly name: string }
}

type StreamOptions = { readonly include_usage?: boolean | null }

/** Body of a chat; `stream` is what the method says. Members that are not known here are sent as they are. */
export type ChatInput = Given<Omit<ChatRequest, 'messages' | 'seed' | 'stream' | 'stop' | 'stream_options' | 'tools'>> &
  Seed & {
    readonly messages: readonly MessageInput[]
    readonly stop?: string | readonly string[] | null
    readonly stream_options?: StreamOptions | null
    readonly tools?: readonly ToolInput[] | null
  }

interface ToolInput {
  readonly type: string
  readonly function: { readonly name: string; readonly description?: string | null; readonly parameters?: unknown }
}

/** Body of a completion; `stream` is what the method says. */
export type CompletionInput = Given<Omit<CompletionRequest, 'prompt' | 'seed' | 'stream' | 'stop' | 'stream_options'>> &
  Seed & {
    readonly prompt: CompletionRequest['prompt']
    readonly stop?: string | readonly string[] | null
    readonly stream_options?: StreamOptions | null
  }
