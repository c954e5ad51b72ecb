import { fail } from '../../base/errors.ts'
import type { GenerateParameters } from '../../wire/tgi.ts'
import { neutral } from '../tgi/job.ts'

/** The parameters both OpenAI routes have. */
interface Common {
  readonly temperature: number | null
  readonly top_p: number | null
  readonly frequency_penalty: number | null
  readonly seed: bigint | null
  readonly stop: readonly string[] | null
}

/** These routes draw tokens unless the temperature is 0. */
export const samplingOf = (body: Common): GenerateParameters => ({
  ...neutral,
  temperature: body.temperature,
  do_sample: body.temperature !== 0,
  top_p: body.top_p,
  frequency_penalty: body.frequency_penalty,
  seed: body.seed,
  stop: body.stop ?? [],
  details: true,
})

/** How many answers to each prompt. Throws `request.invalid` beyond what the server may run at one time. */
export function choiceCount({ n }: { readonly n: number | null }, most: number): number {
  if (n !== null && n > most) fail('request.invalid', { reason: `\`n\` must be <= ${most}. Given: ${n}` })
  return Math.max(1, n ?? 1)
}

const SEEDS = 2n ** 64n

/** Parameters of answer `index`: a given seed counts on, so that the answers differ and come again. */
export const answerParameters = (parameters: GenerateParameters, index: number): GenerateParameters =>
  parameters.seed === null ? parameters : { ...parameters, seed: (parameters.seed + BigInt(index)) % SEEDS }
