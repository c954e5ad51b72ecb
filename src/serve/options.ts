import type { LLM } from '../library/types.ts'

/** Every setting of a server, with a value. Sizes in bytes, times in milliseconds. */
export interface ServeSettings {
  /** Name of the model in `/info`. */
  readonly modelId: string
  readonly modelSha: string | null
  /** Task the hub files the model under; null for a local folder. */
  readonly modelPipelineTag: string | null
  /** Version of the server in `/info`. */
  readonly version: string
  /** Commit the server was built from. */
  readonly sha: string | null
  readonly dockerLabel: string | null
  /** Generations at one time; one more is refused with 429. */
  readonly maxConcurrentRequests: number
  readonly maxBestOf: number
  readonly maxStopSequences: number
  readonly maxTopNTokens: number
  /** Largest request body. */
  readonly payloadLimit: number
  /** Most messages of a chat, and bytes of all their texts. */
  readonly maxChatMessages: number
  readonly maxChatBytes: number
  readonly validationWorkers: number
  readonly maxClientBatchSize: number
  /** Origins a browser may call from; empty means all. */
  readonly corsAllowOrigin: readonly string[]
  /** Keys that open what spends the model's time; empty means it is open. */
  readonly apiKeys: readonly string[]
  /** Refuse request fields nobody knows, instead of naming them in a header and the log. */
  readonly strict: boolean
  /** More paths for `POST /vertex` and `GET /health`, as Vertex AI names them to its containers. */
  readonly vertexPredictRoute: string | null
  readonly vertexHealthRoute: string | null
  /** Value of the `x-compute-type` header. */
  readonly computeType: string
  readonly hostname: string
  readonly port: number
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'
  /** One JSON object a log line instead of text. */
  readonly jsonOutput: boolean
  /** Silence on a stream after which a comment is sent. */
  readonly keepAliveMs: number
  /** How long a client may leave its stream unread before it is dropped. */
  readonly stallMs: number
  /** How long the engine may take to answer before the server is unhealthy. */
  readonly healthDeadlineMs: number
}

export type ServeOptions = Partial<ServeSettings>

/** The defaults are the reference server's, where it has the setting. */
export const settingsOf = (llm: LLM, options: ServeOptions): ServeSettings => ({
  modelId: llm.info.modelId,
  modelSha: llm.info.modelSha ?? null,
  modelPipelineTag: null,
  version: '0.0.0',
  sha: null,
  dockerLabel: null,
  maxConcurrentRequests: 128,
  maxBestOf: 2,
  maxStopSequences: 4,
  maxTopNTokens: 5,
  payloadLimit: 2_000_000,
  maxChatMessages: 1024,
  maxChatBytes: 1_048_576,
  validationWorkers: 2,
  maxClientBatchSize: 4,
  corsAllowOrigin: [],
  apiKeys: [],
  strict: false,
  vertexPredictRoute: null,
  vertexHealthRoute: null,
  computeType: 'cpu',
  hostname: '0.0.0.0',
  port: 3000,
  logLevel: 'info',
  jsonOutput: false,
  keepAliveMs: 15_000,
  stallMs: 120_000,
  healthDeadlineMs: 5_000,
  ...options,
})
