import { isIP } from 'node:net'
import { type Command, InvalidArgumentError, Option } from 'commander'

/** One option: a row of the table that flags, environment variables, --help and docs/options.md come from. */
interface OptionRow {
  readonly flags: string
  readonly env?: string
  readonly doc: string
  readonly choices?: readonly string[]
  readonly fallback?: string | number | boolean | readonly number[]
  readonly parse?: (text: string) => unknown
}

function integer(minimum: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!Number.isSafeInteger(value) || value < minimum)
      throw new InvalidArgumentError(`expected an integer of at least ${minimum}`)
    return value
  }
}

/** A list of positive integers, separated by commas. */
function integers(text: string): number[] {
  return text.split(',').map(integer(1)) as number[]
}

/** Processors: numbers and ranges, such as 0,2-3. */
function processors(text: string): number[] {
  return text.split(',').flatMap((part) => {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? []
    const count = Number(last) - Number(first) + 1
    if (!(count > 0 && count <= mostProcessors)) throw new InvalidArgumentError('expected processors, such as 0,2-3')
    return Array.from({ length: count }, (_, i) => Number(first) + i)
  })
}

const mostProcessors = 1024

function real(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('expected a number')
  return value
}

/** commander takes any value of a boolean's variable for true; TGI's launcher reads true and false. */
function boolean(text: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true'
  throw new InvalidArgumentError('expected true or false')
}

function address(text: string): string {
  if (isIP(text) === 0) throw new InvalidArgumentError('expected an IP address')
  return text
}

/** Unsigned 64-bit, which a number cannot hold. */
function seed(text: string): bigint {
  if (!/^\d+$/.test(text) || BigInt(text) > 0xffff_ffff_ffff_ffffn)
    throw new InvalidArgumentError('expected an unsigned 64-bit integer')
  return BigInt(text)
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
    doc: 'format of keys and values in memory; auto is float32 beside float32 weights, otherwise bfloat16',
    choices: ['auto', 'float32', 'bfloat16', 'int8'],
    fallback: 'auto',
  },
  { flags: '--threads <n>', env: 'LOQUENT_THREADS', doc: 'compute threads (default: one a core)', parse: integer(1) },
  {
    flags: '--cpu-affinity <list>',
    env: 'LOQUENT_CPU_AFFINITY',
    doc: 'processors to keep the compute threads on, such as 0,2-3 (Linux)',
    parse: processors,
  },
  {
    flags: '--isa <name>',
    env: 'LOQUENT_ISA',
    doc: 'instruction set to force',
    choices: ['generic', 'avx2', 'avx512', 'neon'],
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
    flags: '--verify [bool]',
    env: 'LOQUENT_VERIFY',
    doc: 'run every op on the reference backend too and name the first that differs (slow)',
    fallback: false,
    parse: boolean,
  },
]

export const serveOptions: readonly OptionRow[] = [
  { flags: '--hostname <ip>', doc: 'address to listen on', fallback: '127.0.0.1', parse: address },
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
  {
    flags: '--waiting-served-ratio <x>',
    env: 'WAITING_SERVED_RATIO',
    doc: 'does not apply: a request that fits joins the next step; said at the start',
    parse: real,
  },
  {
    flags: '--max-waiting-tokens <n>',
    env: 'MAX_WAITING_TOKENS',
    doc: 'does not apply, as above',
    parse: integer(0),
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
    flags: '--payload-limit <bytes>',
    env: 'PAYLOAD_LIMIT',
    doc: 'largest request body',
    fallback: 2_000_000,
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
    doc: 'least level logged',
    choices: ['trace', 'debug', 'info', 'warn', 'error', 'silent'],
    fallback: 'info',
  },
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
    command.addOption(option)
  }
  return command
}
