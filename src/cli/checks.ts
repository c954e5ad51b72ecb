/** What flags cannot say together; the words are TGI's, the exit code is that of wrong usage. */
export class UsageError extends Error {}

/** The flags that the checks are about. */
export interface CheckedFlags {
  readonly sharded?: boolean
  readonly numShard?: number
  readonly quantize?: string
  readonly maxInputTokens?: number
  readonly maxInputLength?: number
  readonly maxTotalTokens?: number
  readonly maxBatchTotalTokens?: number
  readonly validationWorkers?: number
  readonly ngrok?: boolean
  readonly ngrokAuthtoken?: string
  readonly ngrokEdge?: string
  readonly loraAdapters?: string
}

type Check = (flags: CheckedFlags) => string | false | undefined

/** In the order in which TGI's launcher looks. */
const checks: readonly Check[] = [
  ({ sharded, numShard }) =>
    sharded === true && numShard !== undefined && numShard <= 1 && '`sharded` is true but `num_shard` <= 1',
  ({ numShard }) => numShard === 0 && '`num_shard` cannot be < 1',
  ({ quantize, numShard = 1 }) =>
    quantize === 'exl2' && numShard > 1 && 'Sharding is currently not supported with `exl2` quantization',
  ({ maxInputTokens: a, maxInputLength: b }) =>
    a !== undefined &&
    b !== undefined &&
    `Both \`max_input_tokens\` (${a}) and \`max_input_length\` (${b}) are set. The second is the old name of the first: give that alone.`,
  ({ maxInputTokens, maxInputLength, maxTotalTokens: most }) => {
    const input = maxInputTokens ?? maxInputLength
    const wrong = input !== undefined && most !== undefined && input >= most
    return wrong && `\`max_input_tokens\`(${input}) must be < \`max_total_tokens\`(${most})`
  },
  ({ validationWorkers }) => validationWorkers === 0 && '`validation_workers` must be > 0',
  ({ maxTotalTokens: one, maxBatchTotalTokens: all }) =>
    one !== undefined &&
    all !== undefined &&
    one > all &&
    `\`max_total_tokens\` must be <= \`max_batch_total_tokens\`. Given: ${one} and ${all}`,
  ({ ngrok, ngrokAuthtoken }) =>
    ngrok === true && ngrokAuthtoken === undefined && '`ngrok-authtoken` must be set when using ngrok tunneling',
  ({ ngrok, ngrokEdge }) =>
    ngrok === true && ngrokEdge === undefined && '`ngrok-edge` must be set when using ngrok tunneling',
  ({ loraAdapters = '' }) => {
    const wrong = loraAdapters.split(',').find((adapter) => adapter.split('@').length > 2)
    return wrong !== undefined && `Invalid LoRA adapter format: ${wrong}`
  },
]

/** Throws a UsageError with the first thing that is wrong. */
export function checkFlags(flags: CheckedFlags): void {
  for (const check of checks) {
    const wrong = check(flags)
    if (wrong) throw new UsageError(wrong)
  }
}
