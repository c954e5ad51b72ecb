import { fail } from '../../base/errors.ts'
import type { GenerateParameters, GenerateRequest } from '../../wire/tgi.ts'
import type { ServeSettings } from '../options.ts'
import { grammarFault } from './grammar.ts'

export type Limits = Pick<ServeSettings, 'maxBestOf' | 'maxStopSequences' | 'maxTopNTokens'> & {
  readonly maxInputTokens: number
}

const invalid = (reason: string): never => fail('request.invalid', { reason })

/** What a stream cannot do; checked before a permit is taken. */
export function checkStreamable({ best_of, decoder_input_details }: GenerateParameters): void {
  if (best_of !== null && best_of !== 1) invalid('`best_of` != 1 is not supported when streaming tokens')
  if (decoder_input_details) invalid('`decoder_input_details` == true is not supported when streaming tokens')
}

/** Whether the server allows this many sequences; checked before permits are taken. */
export function checkBestOf({ best_of }: GenerateParameters, { maxBestOf }: Limits): void {
  if (best_of === null || best_of <= 1) return
  if (maxBestOf === 1) invalid('`best_of` != 1 is not allowed for this endpoint')
  if (best_of > maxBestOf) invalid(`\`best_of\` must be > 0 and <= ${maxBestOf}. Given: ${best_of}`)
}

/** What is checked of a request. */
type Checked = Pick<GenerateRequest, 'parameters'> & { readonly inputs: { readonly length: number } }

type Rule = (request: Checked, limits: Limits) => string | false

const isUnset = ({ do_sample, temperature, top_k, top_p, typical_p }: GenerateParameters): boolean =>
  temperature === 0 || (!do_sample && temperature === null && top_k === null && top_p === null && typical_p === null)

const outside = (value: number | null): boolean => value !== null && (value <= 0 || value > 1)

/** Each gives the reason a request is refused; clients know the order and the words. */
const rules: readonly Rule[] = [
  ({ parameters: p }) => (p.best_of ?? 1) > 1 && isUnset(p) && 'you must use sampling when `best_of` is > 1',
  ({ parameters: p }) => p.temperature !== null && p.temperature < 0 && '`temperature` must be strictly positive',
  ({ parameters: p }) =>
    p.repetition_penalty !== null && p.repetition_penalty <= 0 && '`repetition_penalty` must be strictly positive',
  ({ parameters: p }) => Math.abs(p.frequency_penalty ?? 0) > 2 && '`frequency_penalty` must be >= -2.0 and <= 2.0',
  ({ parameters: p }) => outside(p.top_p) && '`top_p` must be > 0.0 and < 1.0',
  ({ parameters: p }) => outside(p.typical_p) && '`typical_p` must be > 0.0 and < 1.0',
  ({ parameters: p }) => p.top_k !== null && p.top_k <= 0 && '`top_k` must be strictly positive',
  ({ parameters: p }) => p.max_new_tokens === 0 && '`max_new_tokens` must be strictly positive',
  ({ parameters: p }, { maxStopSequences: max }) =>
    p.stop.length > max && `\`stop\` supports up to ${max} stop sequences. Given: ${p.stop.length}`,
  ({ parameters: p }) => p.seed !== null && (p.best_of ?? 1) > 1 && '`seed` must not be set when `best_of` > 1',
  ({ parameters: p }, { maxTopNTokens: max }) =>
    (p.top_n_tokens ?? 0) > max && `\`top_n_tokens\` must be >= 0 and <= ${max}. Given: ${p.top_n_tokens}`,
  ({ inputs }) => inputs.length === 0 && '`inputs` cannot be empty',
  ({ parameters: { truncate } }, { maxInputTokens: max }) =>
    truncate !== null &&
    (truncate === 0 || truncate > max) &&
    `\`truncate\` must be strictly positive and less than ${max}. Given: ${truncate}`,
  ({ parameters: { grammar } }) => grammar !== null && (grammarFault(grammar) ?? '`grammar` is not supported yet'),
]

/** Checks a request against everything but the number of its tokens. Throws `request.invalid`. */
export function checkRequest(request: Checked, limits: Limits): void {
  for (const rule of rules) {
    const reason = rule(request, limits)
    if (reason) invalid(reason)
  }
}
