/** How tokens of one request are chosen. Neutral values: temperature 1, topK 0, topP 1, typicalP 1, penalties 1 and 0. */
export interface SamplingParameters {
  /** false: the greatest logit. */
  readonly sampling: boolean
  /** Unsigned 64-bit. Seed and position are all the state there is. */
  readonly seed: bigint
  readonly temperature: number
  readonly topK: number
  readonly topP: number
  readonly typicalP: number
  readonly repetitionPenalty: number
  readonly frequencyPenalty: number
  /** Adds `delta` to the logits of the green list (a share `gamma` of the vocabulary) of the token before. */
  readonly watermark?: { readonly gamma: number; readonly delta: number }
}

/** The likeliest token, whatever came before: every parameter has its neutral value. */
export const greedy: SamplingParameters = {
  sampling: false,
  seed: 0n,
  temperature: 1,
  topK: 0,
  topP: 1,
  typicalP: 1,
  repetitionPenalty: 1,
  frequencyPenalty: 0,
}

/** One request as the engine sees it: ids in, ids out. Plain data, so that it crosses a thread or a process. */
export interface GenerateSpec {
  readonly promptIds: readonly number[]
  /** Tokens generated before, by an engine that died: the request goes on after them. They count as generated ones. */
  readonly generatedIds?: readonly number[]
  readonly maxNewTokens: number
  /** Ids that end the sequence. */
  readonly eosIds: readonly number[]
  readonly sampling: SamplingParameters
  /** Alternatives reported for each token. */
  readonly topTokens: number
  /** Report the log-probability of every prompt token. */
  readonly promptLogprobs: boolean
  /** Whose request it is (an API key): prompts are only reused among requests with the same salt. */
  readonly salt?: string
  /** A head start over other requests, from -10 to 10, 0 when absent; see `stepsPerPriority`. */
  readonly priority?: number
  /**
   * Milliseconds the request may take, from its arrival. The first token after them is its last, with `length`; where
   * none comes in the step after them (it waits, or its prompt is being computed) it fails with `request.expired`.
   */
  readonly maxTimeMs?: number
}

export interface ScoredToken {
  readonly id: number
  readonly logprob: number
}

export interface GeneratedToken extends ScoredToken {
  readonly top: readonly ScoredToken[]
}

/** Milliseconds: waiting for a first step, and from there to the last token. */
export interface Timings {
  readonly queue: number
  readonly inference: number
}

/** What one step gave one request. `finish` is on the last message only. */
export interface TokenEvents {
  /** With the first token, if asked for: one entry per prompt token, the first null. */
  readonly promptLogprobs?: readonly (number | null)[]
  readonly tokens: readonly GeneratedToken[]
  readonly finish?: { readonly reason: 'length' | 'eos_token'; readonly timings: Timings }
}

/** Sizes an engine promised at load; nothing grows after. */
export interface EngineFacts {
  readonly architecture: string
  readonly vocabulary: number
  /** Most tokens of one sequence, prompt and generated. */
  readonly maxTotalTokens: number
  readonly maxTopTokens: number
  /** Tokens of a KV block. */
  readonly blockTokens: number
  readonly backend: string
  readonly dtype: string
  readonly eosIds: readonly number[]
  /** A word about the choice of backend that somebody should read, such as why it is the slow one. */
  readonly notice?: string
}

export interface BlockCounts {
  readonly total: number
  readonly free: number
  readonly held: number
  readonly cached: number
}

export interface PrefixCounts {
  readonly tokens: number
  readonly reused: number
}

/** Requests since the start: submitted = finished + aborted + failed + those that run and wait now. */
export interface RequestCounts {
  readonly submitted: number
  /** Not taken at all: malformed, too long, or too many of them. */
  readonly refused: number
  readonly finished: number
  readonly aborted: number
  readonly failed: number
}

/** Milliseconds from an abort until what the request held could be given to others: at most to the end of a step. */
export interface CancelTimes {
  readonly count: number
  readonly total: number
  readonly longest: number
}

/** Milliseconds that steps took in the backend, and that lay between steps which followed each other. */
export interface StepTimes {
  readonly running: number
  readonly between: number
}

/** How many durations lie up to each of `durationBounds` (and above the one before), then beyond; their sum in seconds. */
export interface DurationCounts {
  readonly counts: readonly number[]
  readonly sum: number
}

/** Calls of the backend, and of the steps that succeeded how long they took: in all, and in their parts. */
export interface MethodCounts {
  readonly count: number
  readonly failures: number
  readonly inference: DurationCounts
  /** In the backend. */
  readonly forward: DurationCounts
  /** Making tokens of what it gave. */
  readonly decode: DurationCounts
  /** Telling tokens, and giving back what ended requests held. */
  readonly filter: DurationCounts
}

export interface StepCounts {
  /** A step is of `prefill` when it computes some of a prompt. */
  readonly methods: { readonly prefill: MethodCounts; readonly decode: MethodCounts }
  /** How often 1, 2, ... requests had their first step together. */
  readonly started: readonly number[]
  /** How often they joined others that ran. */
  readonly joined: number
}

export interface EngineStats {
  readonly waiting: number
  readonly running: number
  /** How often a running request was sent back to the queue because KV blocks ran out. */
  readonly preemptions: number
  /** KV blocks; `free` are those that nobody holds, and `cached` those of them whose content can still be reused. */
  readonly blocks: BlockCounts
  /** Tokens of requests that started (or started again), and how many of them were found computed. */
  readonly prefix: PrefixCounts
  readonly requests: RequestCounts
  readonly cancels: CancelTimes
  readonly times: StepTimes
  readonly stepCounts: StepCounts
  /** Of the engine that runs now, as are the counts above. */
  readonly steps: number
  readonly tokensGenerated: number
  /** How often the engine died and was started again; absent in its own counts. */
  readonly restarts?: number
}

/** Where a load stands; `fraction` in [0, 1]. */
export interface LoadProgress {
  readonly stage: 'open' | 'weights' | 'compile' | 'ready'
  readonly fraction: number
}

/** How to load a model into an engine; plain data. Zero or absent means: choose. */
export interface EngineOptions {
  readonly model: string
  readonly backend?: 'auto' | 'cpu' | 'reference'
  /** auto: the format the weights are stored in, where the backend computes with it. */
  readonly dtype?: 'auto' | 'float32' | 'bfloat16' | 'float16'
  /** How keys and values are kept; auto: float32 beside float32 weights, bfloat16 otherwise. */
  readonly kvDtype?: 'auto' | 'float32' | 'bfloat16' | 'int8'
  readonly threads?: number
  /** Processors to keep the compute threads on, one each; also how many threads there are, unless `threads` says so. */
  readonly affinity?: readonly number[]
  /** On a machine whose processors have memory of their own: spread it over all nodes, or keep it and the threads on one (Linux). */
  readonly numa?: 'interleave' | number
  /** Instruction set to force: generic, avx2, avx2_vnni, avx512_vnni, avx512. */
  readonly isa?: string
  readonly maxTotalTokens?: number
  /** Most tokens of prompts and generations computed in one step (`--max-batch-prefill-tokens`). */
  readonly maxBatchPrefillTokens?: number
  /** Most sequences in one step (`--max-batch-size`). */
  readonly maxBatchSize?: number
  /** KV tokens in all (`--max-batch-total-tokens`). */
  readonly maxBatchTotalTokens?: number
  /** Most rows of logits in one step. */
  readonly maxSamples?: number
  /** How many times longer a step may take because prompts are computed beside running requests; 2.5 by default. */
  readonly prefillStretch?: number
  readonly ropeScaling?: { readonly type: 'linear' | 'dynamic'; readonly factor: number }
  /** Runs every op also on the reference backend and names the first that differs. Slow. */
  readonly verify?: boolean
}
