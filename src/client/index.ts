/** `import { Client } from 'loquent/client'`: a client for wherever there is `fetch`. */
export type {
  AnswerMessage,
  AnswerToolCall,
  ChatCompletion,
  ChatCompletionChunk,
  Completion,
  CompletionChunk,
  ModelList,
} from '../wire/openai-answer.ts'
export type { Details, GenerateResponse, InfoResponse, StreamResponse } from '../wire/tgi.ts'
export { Client } from './client.ts'
export {
  BadRequestError,
  ConnectionError,
  GenerationError,
  IncompleteGenerationError,
  NotFoundError,
  OverloadedError,
  RateLimitExceededError,
  ShardNotReadyError,
  ShardTimeoutError,
  TextGenerationError,
  UnknownError,
  ValidationError,
} from './errors.ts'
export type { ChatInput, CompletionInput, GenerateInput, MessageInput } from './requests.ts'
export type { CallOptions, ClientOptions } from './transport.ts'
