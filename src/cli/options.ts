import { type Command, Option } from 'commander'
import {
  address,
  boolean,
  integer,
  integers,
  kvFormat,
  logLevel,
  numa,
  processors,
  real,
  seed,
  url,
} from './parsers.ts'

/** One option: a row of the table that flags, environment variables, --help and docs/options.md come from. */
export interface OptionRow {
  readonly flags: string
  readonly env?: string
  readonly doc: string
  readonly choices?: readonly string[]
  readonly fallback?: string | number | boolean | readonly number[]
  readonly parse?: (text: string) => unknown
  /** Of an option of TGI's that has no effect here: why. Whoever gives it is told. */
  readonly inert?: string
}

/** What every command that may download takes; tokens and mirrors are in the environment only. */
export const hubOptions: readonly OptionRow[] = [
  { flags: '--revision <name>', env: 'REVISION', doc: 'branch, tag, refs/pr/N or commit of a model on the hub' },
  {
    flags: '--huggingface-hub-cache <dir>',
    env: 'HUGGINGFACE_HUB_CACHE',
    doc: 'where downloaded models are kept (default: HF_HUB_CACHE, or hub in HF_HOME)',
  },
]

export const downloadOptions: readonly OptionRow[] = [
  { flags: '--include <pattern...>', doc: 'files to take, instead of weights, tokenizer and configuration' },
  { flags: '--exclude <pattern...>', doc: 'files to leave out' },
]

/** What every command that loads a model takes. */
export const modelOptions: readonly OptionRow[] = [
  {
    flags: '--model-id <path>',
    env: 'MODEL_ID',
    doc: 'model directory, .gguf file or id on the Hugging Face hub; the embedded loquent-tiny when absent',
  },
  {
    flags: '--backend <name>',
    env: 'LOQUENT_BACKEND',
    doc: 'where to compute',
    choices: ['auto', 'cpu', 'reference'],
    fallback: 'auto',
  },
  {
    flags: '--dtype <name>',
    env: 'DTYPE',
    doc: 'format of the weights in memory; auto keeps the stored one where the backend computes with it',
    choices: ['auto', 'float32', 'bfloat16', 'float16'],
    fallback: 'auto',
  },
  {
    flags: '--kv-cache-dtype <name>',
    env: 'KV_CACHE_DTYPE',
    doc: "format of keys and values in memory: float32, bfloat16, int8 (also for TGI's fp8_e4m3fn and fp8_e5m2); auto is float32 beside float32 weights, otherwise bfloat16",
    fallback: 'auto',
    parse: kvFormat,
  },
  { flags: '--threads <n>', env: 'LOQUENT_THREADS', doc: 'compute threads (default: one a core)', parse: integer(1) },
  {
    flags: '--cpu-affinity <list>',
    env: 'LOQUENT_CPU_AFFINITY',
    doc: 'processors to keep the compute threads on, such as 0,2-3 (Linux; default: each on its own where they are as many as processors)',
    parse: processors,
  },
  {
    flags: '--numa <place>',
    env: 'LOQUENT_NUMA',
    doc: 'where memory is kept on a machine of several nodes: interleave (on all), or a node, with the threads (Linux; default: as the system does)',
    parse: numa,
  },
  {
    flags: '--isa <name>',
    env: 'LOQUENT_ISA',
    doc: 'instruction set to force',
    choices: ['generic', 'avx2', 'avx2_vnni', 'avx512_vnni', 'avx512', 'neon'],
  },
  {
    flags: '--max-total-tokens <n>',
    env: 'MAX_TOTAL_TOKENS',
    doc: 'most tokens of one request, prompt and generated',
    parse: integer(2),
  },
  {
    flags: '--max-batch-prefill-tokens <n>',
    env: 'MAX_BATCH_PREFILL_TOKENS',
    doc: 'most tokens computed in one step; longer prompts are cut into chunks',
    parse: integer(1),
  },
  {
    flags: '--max-batch-total-tokens <n>',
    env: 'MAX_BATCH_TOTAL_TOKENS',
    doc: 'KV cache, in tokens',
    parse: integer(1),
  },
  { flags: '--max-batch-size <n>', env: 'MAX_BATCH_SIZE', doc: 'most requests that share a step', parse: integer(1) },
  {
    flags: '--prefill-stretch <x>',
    env: 'LOQUENT_PREFILL_STRETCH',
    doc: 'how many times longer a step may take because prompts are computed beside running requests (default: 2.5)',
    parse: real,
  },
  { flags: '--rope-scaling <type>', env: 'ROPE_SCALING', doc: 'stretch the context', choices: ['linear', 'dynamic'] },
  {
    flags: '--rope-factor <x>',
    env: 'ROPE_FACTOR',
    doc: 'by this factor (linear unless --rope-scaling says otherwise)',
    parse: real,
  },
  {
    flags: '--tokenizer-config-path <file>',
    env: 'TOKENIZER_CONFIG_PATH',
    doc: "replaces the model's tokenizer_config.json",
  },
  {
    flags: '--watermark-gamma <x>',
    env: 'WATERMARK_GAMMA',
    doc: 'share of the vocabulary that a watermark favours (default: 0.5)',
    parse: real,
  },
  {
    flags: '--watermark-delta <x>',
    env: 'WATERMARK_DELTA',
    doc: 'what it adds to their logits (default: 2)',
    parse: real,
  },
  {
    flags: '--verify [bool]',
    env: 'LOQUENT_VERIFY',
    doc: 'run every op on the reference backend too and name the first that differs (slow)',
    fallback: false,
    parse: boolean,
  },
]

export const serveOptions: readonly OptionRow[] = [
  {
    flags: '--hostname <ip>',
    env: 'HOSTNAME',
    doc: 'address to listen on; the variable counts when it is an IP address',
    fallback: '127.0.0.1',
    parse: address,
  },
  {
    flags: '-p, --port <n>',
    env: 'PORT',
    doc: 'port to listen on; 0 takes a free one',
    fallback: 3000,
    parse: integer(0),
  },
  {
    flags: '--max-concurrent-requests <n>',
    env: 'MAX_CONCURRENT_REQUESTS',
    doc: 'requests in flight before 429',
    fallback: 128,
    parse: integer(1),
  },
  { flags: '--max-best-of <n>', env: 'MAX_BEST_OF', doc: 'largest best_of', fallback: 2, parse: integer(1) },
  {
    flags: '--max-stop-sequences <n>',
    env: 'MAX_STOP_SEQUENCES',
    doc: 'most stop sequences',
    fallback: 4,
    parse: integer(0),
  },
  {
    flags: '--max-top-n-tokens <n>',
    env: 'MAX_TOP_N_TOKENS',
    doc: 'largest top_n_tokens',
    fallback: 5,
    parse: integer(0),
  },
  {
    flags: '--max-input-tokens <n>',
    env: 'MAX_INPUT_TOKENS',
    doc: 'longest prompt (default: one less than --max-total-tokens)',
    parse: integer(1),
  },
  {
    flags: '--max-input-length <n>',
    env: 'MAX_INPUT_LENGTH',
    doc: 'the old name of --max-input-tokens; not beside it',
    parse: integer(1),
  },
  {
    flags: '--payload-limit <bytes>',
    env: 'PAYLOAD_LIMIT',
    doc: 'largest request body',
    fallback: 2_000_000,
    parse: integer(1),
  },
  {
    flags: '--max-chat-messages <n>',
    env: 'LOQUENT_MAX_CHAT_MESSAGES',
    doc: 'most messages of a chat; 1,000 take 20 ms to render, in which nothing else is heard',
    fallback: 1024,
    parse: integer(1),
  },
  {
    flags: '--max-chat-bytes <bytes>',
    env: 'LOQUENT_MAX_CHAT_BYTES',
    doc: 'most bytes of the messages of a chat',
    fallback: 1_048_576,
    parse: integer(1),
  },
  {
    flags: '--max-client-batch-size <n>',
    env: 'MAX_CLIENT_BATCH_SIZE',
    doc: 'most prompts in one request',
    fallback: 4,
    parse: integer(1),
  },
  { flags: '--api-key <key...>', env: 'API_KEY', doc: 'keys, one of which a request that generates must carry' },
  {
    flags: '--strict [bool]',
    env: 'LOQUENT_STRICT',
    doc: 'refuse request fields nobody knows (they are ignored and named in a header otherwise)',
    fallback: false,
    parse: boolean,
  },
  { flags: '--cors-allow-origin <origin...>', env: 'CORS_ALLOW_ORIGIN', doc: 'origins allowed (default: any)' },
  { flags: '--json-output [bool]', env: 'JSON_OUTPUT', doc: 'log lines as JSON', fallback: false, parse: boolean },
  {
    flags: '--log-level <level>',
    env: 'LOG_LEVEL',
    doc: "least level logged: trace, debug, info, warn, error, off; of TGI's filters the bare level counts",
    fallback: 'info',
    parse: logLevel,
  },
  {
    flags: '-g, --graceful-termination-timeout <seconds>',
    env: 'GRACEFUL_TERMINATION_TIMEOUT',
    doc: 'how long open requests may take to finish after SIGTERM, SIGINT or SIGHUP; then they are told and ended',
    fallback: 90,
    parse: integer(0),
  },
  {
    flags: '--otlp-endpoint <url>',
    env: 'OTLP_ENDPOINT',
    doc: 'send traces there (OpenTelemetry): over gRPC, or HTTP where the port is 4318 or there is a path',
    parse: url,
  },
  {
    flags: '--otlp-service-name <name>',
    env: 'OTLP_SERVICE_NAME',
    doc: 'name of this service in traces',
    fallback: 'text-generation-inference.router',
  },
  { flags: '-e, --env', doc: 'say on stderr what this runs on, before it starts', fallback: false },
]

export const generateOptions: readonly OptionRow[] = [
  {
    flags: '-n, --max-new-tokens <n>',
    doc: 'tokens to generate at most (default: until the context is full)',
    parse: integer(1),
  },
  { flags: '--temperature <x>', doc: 'draw, dividing logits by it', parse: real },
  { flags: '--top-k <n>', doc: 'draw from the k likeliest', parse: integer(1) },
  { flags: '--top-p <x>', doc: 'draw from the likeliest of this mass', parse: real },
  { flags: '--repetition-penalty <x>', doc: 'above 1, repeats become less likely', parse: real },
  { flags: '--seed <n>', doc: 'seed of the draw (random when absent)', parse: seed },
  { flags: '--stop <text...>', doc: 'end when the text contains this' },
  { flags: '--system <text>', doc: 'system message of the chat' },
  { flags: '--raw', doc: 'continue the prompt as it is, without the chat template', fallback: false },
]

export const benchOptions: readonly OptionRow[] = [
  { flags: '--prompt-tokens <list>', doc: 'lengths of prompts, such as 64,4096', fallback: [128], parse: integers },
  { flags: '--new-tokens <n>', doc: 'tokens to generate at least, a stream', fallback: 64, parse: integer(2) },
  { flags: '--batch <list>', doc: 'streams at once', fallback: [1, 8, 32], parse: integers },
  { flags: '--rounds <n>', doc: 'rounds over all combinations; medians are shown', fallback: 3, parse: integer(1) },
]

export const planOptions: readonly OptionRow[] = [
  { flags: '--json', doc: 'print the plan as one line of JSON', fallback: false },
]

/** Adds rows of the table to a command. */
export function addOptions(command: Command, rows: readonly OptionRow[]): Command {
  for (const row of rows) {
    const option = new Option(row.flags, row.doc)
    if (row.env) option.env(row.env)
    if (row.choices) option.choices(row.choices)
    if (row.parse) option.argParser(row.parse)
    if (row.fallback !== undefined) option.default(row.fallback)
    if (row.parse === boolean) option.preset('true')
    if (row.inert) option.helpGroup("TGI's, without effect here:")
    command.addOption(option)
  }
  return command
}

/** The name under which commander keeps a row's value. */
export const nameOf = (row: OptionRow): string => new Option(row.flags).attributeName()

/** Those of the values that belong to the rows. */
export function valuesOf(flags: object, rows: readonly OptionRow[]): Readonly<Record<string, unknown>> {
  const names = new Set(rows.map(nameOf))
  return Object.fromEntries(Object.entries(flags).filter(([name]) => names.has(name)))
}
