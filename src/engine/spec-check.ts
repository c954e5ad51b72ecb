import { fail } from '../base/errors.ts'
import { mostPriority } from './order.ts'
import type { EngineFacts, GenerateSpec, SamplingParameters } from './spec.ts'

/** A rule a number keeps, and the words for it. */
type Rule = readonly [holds: (x: number) => boolean, wanted: string]

const positive: Rule = [(x) => x > 0 && Number.isFinite(x), 'a positive number']
const priority: Rule = [
  (x) => Number.isInteger(x) && Math.abs(x) <= mostPriority,
  `an integer from -${mostPriority} to ${mostPriority}`,
]
const share: Rule = [(x) => x > 0 && x <= 1, 'in (0, 1]']

const rules: Readonly<Record<Exclude<keyof SamplingParameters, 'sampling' | 'seed' | 'watermark'>, Rule>> = {
  temperature: positive,
  topK: [(x) => Number.isInteger(x) && x >= 0 && x < 2 ** 31, 'an integer, 0 or more'],
  topP: share,
  typicalP: share,
  repetitionPenalty: positive,
  frequencyPenalty: [Number.isFinite, 'a number'],
}

function check(name: string, value: number, [holds, wanted]: Rule): void {
  if (!holds(value)) fail('request.invalid', { reason: `${name} is ${value}, must be ${wanted}` })
}

/**
 * The engine's own door: throws `request.invalid` for numbers that kernels would take for addresses or divide by.
 * Whether the lengths fit is the scheduler's to say.
 */
export function checkSpec(spec: GenerateSpec, facts: Pick<EngineFacts, 'vocabulary' | 'maxTopTokens'>): void {
  const id: Rule = [
    (x) => Number.isInteger(x) && x >= 0 && x < facts.vocabulary,
    `a token id below ${facts.vocabulary}`,
  ]
  for (const token of spec.promptIds) check('a prompt token', token, id)
  for (const token of spec.generatedIds ?? []) check('a generated token', token, id)
  const top: Rule = [(x) => Number.isInteger(x) && x >= 0 && x <= facts.maxTopTokens, `at most ${facts.maxTopTokens}`]
  check('topTokens', spec.topTokens, top)
  check('priority', spec.priority ?? 0, priority)
  check('maxTimeMs', spec.maxTimeMs ?? 1, positive)
  check('maxNewTokens', spec.maxNewTokens, [Number.isInteger, 'an integer'])
  const done = spec.generatedIds?.length ?? 0
  check('generatedIds', done, [(x) => x === 0 || x < spec.maxNewTokens, 'fewer than maxNewTokens'])
  if (spec.sampling.watermark) {
    check('watermark gamma', spec.sampling.watermark.gamma, share)
    check('watermark delta', spec.sampling.watermark.delta, [Number.isFinite, 'a number'])
  }
  for (const [name, rule] of Object.entries(rules)) {
    check(name, spec.sampling[name as keyof typeof rules], rule)
  }
}
