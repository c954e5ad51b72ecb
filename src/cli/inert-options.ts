import { nameOf, type OptionRow } from './options.ts'
import { boolean, integer, real } from './parsers.ts'

/** No GPU of one machine is split among processes here. */
const onePart = 'one engine computes with all cores; there are no shards'
const noPause = 'prompts are computed in chunks beside running requests, which never pause'
const noTunnel = 'there are no tunnels; put a reverse proxy in front'

const inert = (flags: string, env: string, why: string, parse?: OptionRow['parse']): OptionRow => ({
  flags,
  env,
  doc: `does not apply: ${why}`,
  inert: why,
  ...(parse && { parse }),
})

const quantizations = [
  'awq',
  'compressed-tensors',
  'eetq',
  'exl2',
  'gptq',
  'marlin',
  'bitsandbytes',
  'bitsandbytes-nf4',
  'bitsandbytes-fp4',
  'fp8',
]

/** Options of TGI's launcher that have no effect here: each is read, checked, and answered with the reason. */
export const inertOptions: readonly OptionRow[] = [
  inert('--validation-workers <n>', 'VALIDATION_WORKERS', 'tokenizing needs no workers of its own', integer(0)),
  inert('--sharded [bool]', 'SHARDED', onePart, boolean),
  inert('--num-shard <n>', 'NUM_SHARD', onePart, integer(0)),
  {
    ...inert('--quantize <method>', 'QUANTIZE', 'weights are kept as the checkpoint stores them; take a quantized one'),
    choices: quantizations,
  },
  inert('--speculate <n>', 'SPECULATE', 'tokens are not guessed ahead', integer(0)),
  inert('--trust-remote-code [bool]', 'TRUST_REMOTE_CODE', 'no code that comes with a model is ever run', boolean),
  inert('--waiting-served-ratio <x>', 'WAITING_SERVED_RATIO', noPause, real),
  inert('--max-waiting-tokens <n>', 'MAX_WAITING_TOKENS', noPause, integer(0)),
  inert('--cuda-graphs <list>', 'CUDA_GRAPHS', 'a step is one call whatever its size'),
  inert('--prometheus-port <n>', 'PROMETHEUS_PORT', '/metrics is on the port of the server', integer(0)),
  inert('--shard-uds-path <path>', 'SHARD_UDS_PATH', onePart),
  inert('--master-addr <host>', 'MASTER_ADDR', onePart),
  inert('--master-port <n>', 'MASTER_PORT', onePart, integer(0)),
  inert(
    '--weights-cache-override <dir>',
    'WEIGHTS_CACHE_OVERRIDE',
    'give the directory itself as --model-id, configuration and tokenizer in it',
  ),
  inert('--disable-custom-kernels [bool]', 'DISABLE_CUSTOM_KERNELS', 'no model comes with kernels of its own', boolean),
  inert('--cuda-memory-fraction <x>', 'CUDA_MEMORY_FRACTION', 'memory is set by --max-batch-total-tokens', real),
  inert('--ngrok [bool]', 'NGROK', noTunnel, boolean),
  inert('--ngrok-authtoken <token>', 'NGROK_AUTHTOKEN', noTunnel),
  inert('--ngrok-edge <edge>', 'NGROK_EDGE', noTunnel),
  inert(
    '--disable-grammar-support [bool]',
    'DISABLE_GRAMMAR_SUPPORT',
    'grammars are not supported yet, and refused',
    boolean,
  ),
  inert('--lora-adapters <list>', 'LORA_ADAPTERS', 'adapters are not supported yet: the base model answers'),
  { ...inert('--usage-stats <level>', 'USAGE_STATS', 'nothing is ever sent'), choices: ['on', 'off', 'no-stack'] },
  inert(
    '--enable-prefill-logprobs [bool]',
    'ENABLE_PREFILL_LOGPROBS',
    'prompt log-probabilities are always there when asked for',
    boolean,
  ),
  inert('--max-image-fetch-size <bytes>', 'MAX_IMAGE_FETCH_SIZE', 'images are not supported', integer(0)),
]

/** Values that ask for what happens anyway. */
const asIs: readonly unknown[] = [undefined, false, 0, 'off', '0']

const isAsIs = (name: string, value: unknown) => asIs.includes(value) || (name === 'numShard' && value === 1)

/** A line for each option without effect that asks for one. */
export function inertNotices(flags: object): readonly string[] {
  const values = flags as Readonly<Record<string, unknown>>
  const given = inertOptions.filter((row) => !isAsIs(nameOf(row), values[nameOf(row)]))
  return given.map(({ flags: text, inert: why }) => `${text.split(' ')[0]} does not apply: ${why}`)
}

/** Variables outside the flags that other servers read, and why this one does not. */
const inertVariables: Readonly<Record<string, string>> = {
  ATTENTION: 'there is one attention',
  PREFIX_CACHING: 'computed prompts are always reused; answers are the same bytes',
  PREFILL_CHUNKING: 'prompts are always computed in chunks',
  REQUEST_LOGPROBS: 'prompt log-probabilities are always there when asked for',
  TGI_WIGGLE_ROOM: 'memory is set by --max-batch-total-tokens',
  XPU_MEMORY_FRACTION: 'memory is set by --max-batch-total-tokens',
  USE_FLASH_ATTENTION: 'there is one attention',
}

/** A line for each such variable that is set. */
export function variableNotices(env: Readonly<Record<string, string | undefined>>): readonly string[] {
  const given = Object.entries(inertVariables).filter(([name]) => env[name])
  return given.map(([name, why]) => `${name} does not apply: ${why}`)
}
